//! The sandbox: everything behind the port [`mondo_jobs::ports::Sandbox`].
