//! `mondo bench sandbox`.

use mondo_workers::sandbox::SandboxConfig;

#[expect(clippy::unused_async, reason = "its body is on the way")]
pub(super) async fn run(_json: bool, _: SandboxConfig) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
