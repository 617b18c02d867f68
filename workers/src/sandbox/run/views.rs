//! What a page looks like on the way, for people: taken only where they were asked for, with frames that are drawn
//! anyway, so that the execution is the same with and without them.

use mondo_jobs::finding::View;

use super::{Draw, Run, Stop};

/// The most views of the desktop that are kept: each is an image of the whole view.
const DESKTOP_VIEWS_MAX: usize = 30;

impl Run<'_> {
    /// A frame that is a view, where views are wanted.
    pub(super) async fn filmed(&mut self, step_ms: f64) -> Result<(), Stop> {
        let room = |views: &Vec<View>| views.len() < DESKTOP_VIEWS_MAX || self.findings.phase() == "phone";
        let wanted = self.views.as_ref().is_some_and(room);
        let view = self.frame(step_ms, if wanted { Draw::Screenshot } else { Draw::No }).await?;
        self.film(view.as_ref());
        Ok(())
    }

    /// Keeps a view that was taken for another reason.
    pub(super) fn film(&mut self, png: Option<&Vec<u8>>) {
        let (phase, page_ms) = (self.findings.phase().to_owned(), self.page_ms());
        if let (Some(views), Some(png)) = (&mut self.views, png) {
            views.push(View { phase, page_ms, png: png.clone() });
        }
    }
}
