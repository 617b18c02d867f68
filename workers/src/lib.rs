//! How mondo's work gets run: everything that reaches outside. It finds its work in `mondo-jobs` and knows
//! nothing of HTTP or of pages that people see.
#![warn(missing_docs)]

pub mod backend;
pub mod llm;
pub mod notes;
pub mod runner;
pub mod sandbox;
