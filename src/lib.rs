//! How people and programs reach mondo: HTTP API and command line.

pub mod http;
pub mod metrics;
pub mod private_redis;
