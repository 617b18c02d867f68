//! A browser as a person has one, for the pages that people see.

use std::path::Path;

use chromiumoxide::{
    Browser, Page,
    browser::BrowserConfig,
    cdp::browser_protocol::emulation::{
        MediaFeature, SetDeviceMetricsOverrideParams, SetEmulatedMediaParams,
    },
};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

const EXECUTABLE: &str = "/usr/lib/chromium/chromium-headless-shell";

/// One browser with one page.
pub(crate) struct Reader {
    browser: Browser,
    handler: JoinHandle<()>,
    pub(crate) page: Page,
    // Holds the profile until the browser has ended.
    _profile: tempfile::TempDir,
}

impl Reader {
    /// Opens a file.
    pub(crate) async fn open(file: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let config = BrowserConfig::builder()
            .chrome_executable(EXECUTABLE)
            .user_data_dir(profile.path())
            // Tests run as root in containers, where Chromium's own sandbox refuses to start; the page is ours.
            .no_sandbox()
            .build()
            .expect("a configuration");
        let (browser, mut events) = Browser::launch(config).await.expect("a browser");
        #[expect(clippy::disallowed_methods, reason = "ended with the browser, in `close`")]
        let handler = tokio::spawn(async move { while events.next().await.is_some() {} });
        let page = browser.new_page(format!("file://{}", file.display())).await.expect("the page");
        page.wait_for_navigation().await.expect("a page that loads");
        Self { browser, handler, page, _profile: profile }
    }

    /// What a script gives.
    pub(crate) async fn read<T: DeserializeOwned>(&self, script: &str) -> T {
        self.page.evaluate(script).await.expect("a script that runs").into_value().expect("its value")
    }

    /// Makes the window as wide as this, in CSS pixels.
    pub(crate) async fn resize(&self, width: i64) {
        let size = SetDeviceMetricsOverrideParams::new(width, 844, 1.0, false);
        self.page.execute(size).await.expect("another size");
    }

    /// Prefers `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let feature = MediaFeature::new("prefers-color-scheme", scheme);
        let media = SetEmulatedMediaParams::builder().feature(feature).build();
        self.page.execute(media).await.expect("another scheme");
    }

    /// Ends the browser.
    pub(crate) async fn close(mut self) {
        self.browser.close().await.expect("a browser that closes");
        self.browser.wait().await.expect("a browser that has ended");
        self.handler.await.expect("a handler that has ended");
    }
}
