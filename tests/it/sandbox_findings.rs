//! Each class of failure is found, with its place and the input that led to it, and a clean page is clean: the same
//! under both back-ends.

use mondo_jobs::finding::FindingClass::{
    self, Blank, Console, Dialog, Exception, External, Hang, Memory, Policy, Reference, Rejection, Resource,
    Syntax, Type,
};
use mondo_jobs::ports::{Execution, Sandbox as _};
use mondo_workers::sandbox::BackendChoice;

use crate::support::sandbox::{Expected, assert_found, execute, execution, pool};

const fn at_load(
    page: &'static str,
    class: FindingClass,
    words: &'static str,
    place: (u32, u32),
) -> Expected {
    Expected { page, class, words, place: Some(place), phase: "load", input: None }
}

const fn after(
    page: &'static str,
    class: FindingClass,
    words: &'static str,
    place: (u32, u32),
    (phase, input): (&'static str, &'static str),
) -> Expected {
    Expected { page, class, words, place: Some(place), phase, input: Some(input) }
}

/// In the order of pages; a page with several findings has several lines.
const EXPECTED: &[Expected] = &[
    at_load("syntax", Syntax, "Unexpected token ';'", (5, 23)),
    at_load("type", Type, "Cannot set properties of null", (6, 18)),
    at_load("reference", Reference, "startingBees is not defined", (6, 9)),
    at_load("exception", Exception, "RangeError: Failed to set", (6, 15)),
    at_load("rejection", Rejection, "Error: the kettle is empty", (7, 9)),
    at_load("console", Console, "clock failed: TypeError", (5, 46)),
    at_load("missing", Resource, "image `photos/lake.png`", (4, 11)),
    at_load("missing", Resource, "script `album.js`", (5, 14)),
    at_load("external", External, "script https://cdn.example.com/three.min.js", (4, 14)),
    at_load("external", External, "https://api.example.com/globe.json", (6, 8)),
    at_load("external", External, "WebSocket wss://live.example.com/globe", (7, 7)),
    at_load("suppressed", Reference, "missingLantern is not defined", (7, 20)),
    at_load("suppressed", Rejection, "nobody shall know", (8, 35)),
    at_load("hang_at_load", Hang, "stopped answering", (6, 1)),
    after("hang_on_click", Hang, "in function `pour`", (7, 3), ("click", "click button \"Turn\"")),
    after(
        "hang_in_search",
        Hang,
        "in function `search`, in this loop",
        (8, 3),
        ("click", "click button \"Search\""),
    ),
    after(
        "hang_in_retries",
        Hang,
        "in function `place`, in this loop",
        (7, 5),
        ("click", "click button \"Place\""),
    ),
    after("hang_in_recursion", Hang, "in function `routes`", (6, 28), ("click", "click button \"Count\"")),
    after("hang_in_turns", Hang, "answering, in this loop", (7, 3), ("click", "click button \"Throw\"")),
    after(
        "hang_in_backtracking",
        Hang,
        "in function `seat`, in this loop",
        (8, 3),
        ("click", "click button \"Seat\""),
    ),
    after("click_handler", Type, "reading 'remove'", (7, 37), ("click", "click button \"Ring\"")),
    after("dialog", Dialog, "prompt()", (3, 96), ("click", "click button \"Greet\"")),
    after("drag_handler", Type, "getContext is not a function", (11, 22), ("click", "drag div#board")),
    after("form_handlers", Reference, "volumeKnob", (9, 3), ("click", "click input#volume at 25 %")),
    after("form_handlers", Reference, "stationName", (12, 3), ("click", "key Enter in select#station")),
    after("form_handlers", Reference, "searchIndex", (15, 3), ("click", "type \"Moss 7\" into input#search")),
    after("key_handler", Reference, "strings is not defined", (6, 26), ("keys", "key q")),
    after("touch_handler", Reference, "drumhead is not defined", (8, 3), ("phone", "tap div \"hit me\"")),
    Expected {
        page: "late_timer",
        class: Reference,
        words: "comet is not defined",
        place: Some((6, 3)),
        phase: "late",
        input: None,
    },
    Expected {
        page: "blank",
        class: Blank,
        words: "nothing is drawn",
        place: None,
        phase: "late",
        input: None,
    },
    Expected { page: "memory", class: Memory, words: "memory", place: None, phase: "load", input: None },
    Expected {
        page: "worker_error",
        class: Reference,
        words: "missingTool is not defined",
        place: None,
        phase: "load",
        input: None,
    },
    Expected {
        page: "frame_error",
        class: Reference,
        words: "missingPicture is not defined",
        place: None,
        phase: "load",
        input: None,
    },
];

async fn check_every_class(backend: BackendChoice) {
    let pool = pool(backend, 1).await;
    for expected in EXPECTED.chunk_by(|first, second| first.page == second.page) {
        let report = execute(&pool, expected[0].page).await;
        assert_found(&expected.iter().collect::<Vec<_>>(), &report);
    }
    pool.close().await;
}

#[tokio::test]
async fn local_browsers_find_every_class() {
    check_every_class(BackendChoice::Local).await;
}

#[tokio::test]
async fn containers_find_every_class() {
    check_every_class(BackendChoice::Docker).await;
}

async fn check_clean_pages(backend: BackendChoice) {
    let pool = pool(backend, 1).await;
    for page in [
        "clean_canvas",
        "clean_frames",
        "clean_long_names",
        "clean_messages",
        "rejection_handled_later",
        "reloads",
    ] {
        let report = execute(&pool, page).await;
        assert_eq!(report.findings, [], "{page}");
        assert!(report.page_ms >= 10_000 && report.frames > 30 && report.inputs > 5, "{report:?}");
        assert!(report.screenshot.is_some_and(|png| png.starts_with(b"\x89PNG")), "{page}");
    }
    pool.close().await;
}

#[tokio::test]
async fn local_browsers_find_nothing_in_clean_pages() {
    check_clean_pages(BackendChoice::Local).await;
}

#[tokio::test]
async fn containers_find_nothing_in_clean_pages() {
    check_clean_pages(BackendChoice::Docker).await;
}

#[tokio::test]
async fn a_canvas_of_a_chosen_colour_is_no_empty_one() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "swatch").await;
    let classes: Vec<_> = report.findings.iter().map(|finding| finding.class).collect();
    assert_eq!((classes, report.is_clean()), (vec![Blank], true));
    pool.close().await;
}

#[tokio::test]
async fn views_change_nothing_of_the_report() {
    let pool = pool(BackendChoice::Local, 1).await;
    for page in ["clean_canvas", "dice", "drag_handler"] {
        let plain = execute(&pool, page).await;
        let filmed = Execution { views: true, ..execution(page) };
        let filmed = pool.execute(&filmed).await.unwrap();
        assert_eq!(plain.hash, filmed.hash, "{page}");
        assert!(plain.views.is_empty() && filmed.views.len() >= 8, "{page}");
        assert!(filmed.views.is_sorted_by_key(|view| view.page_ms));
        assert_eq!(filmed.views.last().map(|view| view.phase.as_str()), Some("phone"), "{page}");
    }
    pool.close().await;
}

#[tokio::test]
async fn a_page_is_watched_for_as_long_as_was_asked() {
    let pool = pool(BackendChoice::Local, 1).await;
    let run = |watch_ms| {
        let pool = &pool;
        async move { pool.execute(&Execution { watch_ms, ..execution("late_timer") }).await.unwrap() }
    };
    let (short, long) = (run(2_000).await, run(40_000).await);
    assert!(short.is_clean() && short.page_ms < 10_000, "{short:?}");
    assert!(!long.is_clean() && long.page_ms >= 40_000, "{long:?}");
    pool.close().await;
}

#[tokio::test]
async fn what_was_reached_is_told() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "key_handler").await;
    let coverage = report.coverage.unwrap();
    assert!(coverage.listeners >= 1 && coverage.reached == coverage.listeners, "{coverage:?}");
    assert!(execute(&pool, "hang_at_load").await.coverage.is_none(), "nobody is left to tell");
    pool.close().await;
}

#[tokio::test]
async fn what_a_page_did_before_it_hangs_is_found() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "hang_after_errors").await;
    let mut places: Vec<_> = report.findings.iter().map(|finding| (finding.line, finding.class)).collect();
    places.sort_by_key(|(line, _)| *line);
    assert_eq!(places, [(Some(5), Console), (Some(6), Policy), (Some(7), Hang)]);
    pool.close().await;
}

#[tokio::test]
async fn a_finding_has_the_calls_that_led_to_it() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "suppressed").await;
    let stack: Vec<_> = report.findings[0].stack.iter().map(ToString::to_string).collect();
    assert!(stack[0].starts_with("page:7:20"), "{stack:?}");
    pool.close().await;
}

async fn check_same_seed(backend: BackendChoice) {
    let pool = pool(backend, 2).await;
    let dice = execute(&pool, "dice").await;
    assert!(dice.findings.len() > 10, "the page reports what its random numbers and clocks say");
    // It asks for much in one moment, and each request takes a way of its own to us.
    let asked = ("isolation", execute(&pool, "isolation").await);
    // Each time these are stopped somewhere else.
    let searched = ("hang_in_search", execute(&pool, "hang_in_search").await);
    let called = ("hang_in_recursion", execute(&pool, "hang_in_recursion").await);
    let tried = ("hang_in_backtracking", execute(&pool, "hang_in_backtracking").await);
    for (page, first) in [("dice", dice.clone()), asked, searched, called, tried] {
        // The second slot is another browser.
        let (second, third) = tokio::join!(execute(&pool, page), execute(&pool, page));
        for other in [second, third] {
            assert_eq!(first.findings, other.findings);
            assert_eq!((first.frames, first.page_ms), (other.frames, other.page_ms));
            assert_eq!(first.screenshot, other.screenshot);
            assert_eq!(first.hash, other.hash);
            assert_eq!(other.hash, other.digest());
        }
    }
    let mut another = crate::support::sandbox::execution("dice");
    another.seed = 8;
    let another = mondo_jobs::ports::Sandbox::execute(&*pool, &another).await.unwrap();
    assert_ne!(dice.findings, another.findings);
    pool.close().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_findings_in_local_browsers() {
    check_same_seed(BackendChoice::Local).await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_findings_in_containers() {
    check_same_seed(BackendChoice::Docker).await;
}
