//! `mondo bench queue`.

#[expect(clippy::unused_async, reason = "its body is on the way")]
pub(super) async fn run(_json: bool) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
