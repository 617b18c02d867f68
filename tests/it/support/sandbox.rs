//! Pages of `tests/fixtures/pages`, executed in a real browser.

use std::{path::PathBuf, sync::Arc};

use mondo_jobs::{
    finding::{Finding, FindingClass, Report, Severity},
    ports::{Execution, Sandbox as _},
};
use mondo_workers::sandbox::{BackendChoice, BrowserPool, SandboxConfig, open};

/// The image that `scripts/sandbox-image` builds.
pub(crate) const IMAGE: &str = "mondo/sandbox";

/// Browsers of one back-end.
pub(crate) async fn pool(backend: BackendChoice, slots: usize) -> Arc<BrowserPool> {
    let config = SandboxConfig { backend, image: IMAGE.to_owned(), slots };
    open(config).await.expect("a sandbox; run scripts/sandbox-image")
}

/// Where a page lies.
pub(crate) fn page_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pages").join(format!("{name}.html"))
}

/// One page and a seed.
pub(crate) fn execution(name: &str) -> Execution {
    let page = std::fs::read_to_string(page_path(name)).expect("a fixture");
    Execution::new(page, 7)
}

/// Executes one page.
pub(crate) async fn execute(pool: &BrowserPool, name: &str) -> Report {
    pool.execute(&execution(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What a page must be found to do: class, words of the message, line, column, phase, input.
pub(crate) struct Expected {
    pub(crate) page: &'static str,
    pub(crate) class: FindingClass,
    pub(crate) words: &'static str,
    pub(crate) place: Option<(u32, u32)>,
    pub(crate) phase: &'static str,
    pub(crate) input: Option<&'static str>,
}

/// Exactly one blocking finding per expectation, as expected.
pub(crate) fn assert_found(expected: &[&Expected], report: &Report) {
    let blocking: Vec<&Finding> = report.blocking().collect();
    assert_eq!(blocking.len(), expected.len(), "{blocking:#?}");
    for (expected, found) in expected.iter().zip(blocking) {
        let name = expected.page;
        assert_eq!(found.class, expected.class, "{name}");
        assert_eq!(found.severity, Severity::Blocking, "{name}");
        assert!(found.message.contains(expected.words), "{name}: {}", found.message);
        assert_eq!(found.line.zip(found.column), expected.place, "{name}");
        assert_eq!(found.phase, expected.phase, "{name}");
        assert_eq!(found.input.as_deref(), expected.input, "{name}");
    }
}

/// What the Docker client prints.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output().expect("docker");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
