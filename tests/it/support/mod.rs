//! Helpers that several test modules share.

pub(crate) mod canned_llm;
pub(crate) mod cluster;
pub(crate) mod http;
pub(crate) mod openai_server;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod redis;
pub(crate) mod sandbox;
pub(crate) mod sentinel;
pub(crate) mod server;
pub(crate) mod wait;
pub(crate) mod workers;
