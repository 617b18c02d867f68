//! How people and programs reach mondo: HTTP API and command line.

pub mod cli;
pub mod config;
pub mod engine;
pub mod http;
pub mod metrics;
pub mod private_redis;
pub mod telemetry;
