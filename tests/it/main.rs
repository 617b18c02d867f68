#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod architecture;
mod check;
mod cli;
mod cli_make;
mod cli_operator;
mod crash;
mod env_example;
mod http_operator;
mod http_take;
mod llm_journal;
mod llm_refusal;
mod llm_reply;
mod pipeline_offline;
mod pipeline_openai;
mod private_redis;
mod queue_doctor;
mod queue_lanes;
mod queue_leases;
mod queue_moves;
mod queue_workers;
mod ready;
mod runner;
mod sandbox_findings;
mod sandbox_slots;
mod steps_offline;
mod support;
