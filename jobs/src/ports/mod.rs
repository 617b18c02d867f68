//! What a step may ask of the outside world. Each port is one trait; the room `workers` fills them.

pub mod fake;
pub mod llm;
pub mod memory;
pub mod sandbox;

pub use llm::{Llm, LlmError, Message, Purpose, Reply, Request, Role};
pub use memory::{Memory, MemoryError, RecentList};
pub use sandbox::{Execution, Sandbox, SandboxError};
