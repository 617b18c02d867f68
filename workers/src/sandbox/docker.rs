//! Browsers in containers.

/// Removes a container, running or not.
pub(super) async fn remove(_docker: &bollard::Docker, _name: &str) {}
