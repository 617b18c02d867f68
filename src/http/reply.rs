//! The one shape of everything that is not a pair: Dojo's envelope with a reason that people understand.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// `{"success":false,"body":{},"error":"…"}`.
pub(super) fn failure(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "success": false, "body": {}, "error": error }))).into_response()
}

/// 503: the same call may succeed in `retry_after_secs`.
pub(super) fn unavailable(error: &str, retry_after_secs: u16) -> Response {
    let mut response = failure(StatusCode::SERVICE_UNAVAILABLE, error);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_secs));
    response
}
