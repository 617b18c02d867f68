//! What becomes of errors, and of whatever else a model replies.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn every_error_has_its_class_and_fate() {
    use std::time::Duration;

    use Disposition::{Bury, Halt, Retry, Wait};
    let responder = || "a/b".to_owned();
    let message = || "x".to_owned();
    let after = Some(Duration::from_secs(3));
    let cases: Vec<(StepError, &str, Disposition)> = vec![
        (
            LlmError::RateLimited { responder: responder(), retry_after: after }.into(),
            "rate_limited",
            Wait { after },
        ),
        (LlmError::Unauthorized { responder: responder(), message: message() }.into(), "unauthorized", Halt),
        (
            LlmError::Refused { responder: responder(), status: 400, message: message() }.into(),
            "refused",
            Bury,
        ),
        (LlmError::Unavailable { responder: responder(), message: message() }.into(), "unavailable", Retry),
        (LlmError::TooLarge { responder: responder(), limit: 1 }.into(), "reply_too_large", Bury),
        (SandboxError::PageTooLarge { bytes: 1 }.into(), "page_too_large", Bury),
        (
            SandboxError::Unavailable { problem: message(), remedy: message() }.into(),
            "sandbox_unavailable",
            Wait { after: None },
        ),
        (SandboxError::Browser { doing: message(), message: message() }.into(), "browser", Retry),
        (LlmError::Journal { message: message() }.into(), "journal", Wait { after: None }),
        (LlmError::JournalUnusable { message: message() }.into(), "journal_unusable", Bury),
        (MemoryError::Away("x".into()).into(), "memory", Wait { after: None }),
        (MemoryError::Unusable("x".into()).into(), "memory_unusable", Bury),
        (RecordError::Missing { field: message() }.into(), "record_missing", Bury),
        (StepError::Incomplete { what: "question" }, "incomplete", Bury),
        (StepError::Prompt { name: "fix.user", message: message() }, "prompt", Bury),
    ];
    for (error, class, disposition) in cases {
        assert_eq!((error.class(), error.disposition()), (class, disposition), "{error}");
    }
}

#[tokio::test]
async fn errors_of_the_ports_are_errors_of_the_step() {
    let silent = || FakeLlm::replies([]);
    let broken = || FakeSandbox::new(|_| Err(SandboxError::PageTooLarge { bytes: 9 }));
    let cases = [
        (Step::Objects, FakeMemory::broken(), "memory"),
        (Step::Question, FakeMemory::broken(), "memory"),
        (Step::Objects, FakeMemory::default(), "unavailable"),
        (Step::Question, FakeMemory::default(), "unavailable"),
        (Step::Answer, FakeMemory::default(), "unavailable"),
        (Step::Execute, FakeMemory::default(), "page_too_large"),
        (Step::Fix, FakeMemory::default(), "unavailable"),
        (Step::Solve, FakeMemory::default(), "unavailable"),
    ];
    for (step, memory, class) in cases {
        let world = world(silent(), broken(), memory, 3);
        let error = run_step(&world, draft(Some(vec![syntax(1)])), step, 0).await.unwrap_err();
        assert_eq!(error.class(), class, "{step}");
    }
}

#[tokio::test]
async fn a_draft_that_lacks_what_a_step_needs_is_buried() {
    for step in [Step::Question, Step::Answer, Step::Execute, Step::Fix, Step::Solve] {
        let empty = Draft { head: Head::new(Kind::Web, 7, 0), candidates: [].into(), ..draft(None) };
        let error = run_step(&replying([""]), empty, step, 0).await.unwrap_err();
        assert_eq!((error.class(), error.disposition()), ("incomplete", Disposition::Bury), "{step}");
    }
    for step in [Step::Answer, Step::Execute, Step::Fix, Step::Solve] {
        let draft = draft(None);
        let nameless = Job { candidate: None, ..job(&draft, step, 0) };
        let error = run(&nameless, draft, &replying([""]).ctx).await.unwrap_err();
        assert_eq!(error.class(), "incomplete", "{step}");
    }
}

fn any_reply() -> impl Strategy<Value = String> {
    let odd =
        "(\\{|\\}|\\[|\\]|\"|,|:|\\\\|\"files\"|\"edits\"|\"find\"|\"content\"|<script>|</script>|```|\\PC)*";
    let text = prop_oneof![any::<String>(), odd.prop_map(|text: String| text), Just("start();".to_owned())];
    let pieces = (text.clone(), text.clone(), text.clone());
    prop_oneof![
        text,
        pieces.clone().prop_map(|(a, b, c)| json!({"files": [
            {"filename": "index.html", "content": a}, {"filename": b, "content": c},
        ]}).to_string()),
        pieces.clone().prop_map(|(a, b, c)| json!({"explanation": a, "edits": [{"find": b, "replace": c}]}).to_string()),
        pieces.clone().prop_map(|(a, b, c)| json!({"objects": [a, b, c], "question": a.repeat(50)}).to_string()),
        pieces.prop_map(|(a, b, c)| json!({
            "requirements": [{"requirement": a, "met": false, "evidence": b}], "verdict": "retry", "reasons": [c],
        }).to_string()),
    ]
}

proptest! {
    #[test]
    fn no_reply_makes_a_step_panic_or_fail(replies in prop::collection::vec((any_reply(), any::<bool>()), 3)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for step in [Step::Objects, Step::Question, Step::Answer, Step::Fix, Step::Solve] {
            let replies = replies.clone().into_iter().map(|(text, complete)| Reply { complete, ..reply(text) });
            let llm = FakeLlm::replies(replies);
            let world = world(llm, FakeSandbox::finding(vec![]), FakeMemory::default(), 3);
            let outcome = runtime.block_on(run_step(&world, draft(Some(vec![syntax(1)])), step, 0));
            prop_assert!(outcome.is_ok(), "{step}: {outcome:?}");
        }
    }
}
