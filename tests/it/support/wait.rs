//! Waiting for something to happen, but not for ever.

use std::time::Duration;

/// How long anything may take. No test passes or fails by how fast the machine is.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
/// Pause between two looks.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Waits for `future`.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Waits until `holds` says so.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    };
    within(what, looking).await;
}
