//! How people and programs reach mondo: HTTP API and command line.

pub mod private_redis;
