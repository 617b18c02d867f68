//! The responders: everything behind the port [`mondo_jobs::ports::Llm`].
//!
//! [`LlmConfig`] says which responder the settings name, [`build`] makes it, and [`journal::Journaled`] wraps
//! it for one job, so that a reply that was paid for once is never paid for again.

mod config;
pub mod journal;
pub mod offline;
pub mod openai;
pub mod spool;

use std::sync::{Arc, Once};

use mondo_jobs::ports::Llm;

pub use config::{LlmConfig, Responder};

/// Why a responder cannot be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The key holds characters that no HTTP header may carry.
    #[error(
        "the key of `{responder}` holds characters that no HTTP header may carry; check it for line breaks"
    )]
    Key {
        /// Provider and model.
        responder: String,
    },
    /// The base URL is not one of an HTTP server.
    #[error("the base URL of `{responder}` is none: {message}; set MONDO_BASE_URL to an http or https URL")]
    BaseUrl {
        /// Provider and model.
        responder: String,
        /// What is wrong with it.
        message: String,
    },
    /// No HTTP client could be made, for instance because the machine has no certificate store.
    #[error("cannot make an HTTP client: {message}; is the package `ca-certificates` installed?")]
    Client {
        /// What the client said.
        message: String,
    },
}

/// Makes the responder that the settings name.
///
/// # Errors
/// See [`BuildError`]; each is a matter of configuration, so a start should end with it.
pub fn build(config: &LlmConfig) -> Result<Arc<dyn Llm>, BuildError> {
    match &config.responder {
        Responder::Offline => Ok(Arc::new(offline::Offline)),
        Responder::OpenAi(config) => Ok(Arc::new(openai::OpenAi::new(config)?)),
    }
}

/// Chooses `ring` for TLS in the whole process; without a choice, making an HTTPS client panics.
pub(crate) fn init_tls() {
    static CHOSEN: Once = Once::new();
    // An error means that somebody else has chosen already, which is as good.
    CHOSEN.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
