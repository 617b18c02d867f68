//! The responders: everything behind the port [`mondo_jobs::ports::Llm`].
