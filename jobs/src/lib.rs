//! What mondo's work is, what is stored about it, and how it moves.
//!
//! Read in this order: [`pair`] (what we make), [`job`] (one step of making it), [`ports`] (what a step may
//! ask of the outside world), [`step`] (what a step gives back), [`steps`] (the six of them), [`record`] and
//! [`body`] (how a pair is stored and what consumers get of it), [`queue`] (how jobs move through Redis) and
//! [`ready`] (how finished pairs leave).
#![warn(missing_docs)]

pub mod body;
pub mod bundle;
pub mod clock;
pub mod disposition;
pub mod edit;
pub mod env;
pub mod finding;
mod html;
pub mod job;
pub mod pair;
pub mod place;
pub mod ports;
mod prompt;
pub mod queue;
pub mod ready;
pub mod record;
pub mod script;
pub mod step;
pub mod steps;
