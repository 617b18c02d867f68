//! What becomes of good and bad objects, questions and answers.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn objects_are_chosen_fresh_and_remembered() {
    let llm = FakeLlm::replies([reply(r#"{"objects": ["Kite", "coin", " drum ", "coin"]}"#)]);
    let memory = FakeMemory::default().with(RecentList::Objects, &["kite"]);
    let world = world(llm, FakeSandbox::finding(vec![]), memory, 3);
    let draft = Draft { head: Head::new(Kind::Web, 7, 1000), candidates: [].into(), ..draft(None) };
    let outcome = run_step(&world, draft, Step::Objects, 0).await.unwrap();

    assert_eq!(followed(&outcome), (Step::Question, 0));
    let head = &outcome.draft.head;
    assert!((2..=3).contains(&head.objects.len()), "{:?}", head.objects);
    assert!(head.objects[..2].iter().all(|object| object == "coin" || object == "drum"));
    assert_eq!(head.persona.as_deref(), Some(world.ctx.personas.pick(7)));
    let remembered: Vec<_> =
        head.objects.iter().map(|object| (RecentList::Objects, object.clone())).collect();
    assert_eq!(outcome.remember, remembered);
    let request = &world.llm.asked()[0];
    assert_eq!((request.purpose, request.seed), (Purpose::Objects, 7));
    assert_eq!(request.inputs, json!({"topic": head.topic, "persona": head.persona, "avoid": ["kite"]}));
}

#[tokio::test]
async fn a_pair_without_objects_is_rejected() {
    let world = replying([r#"{"objects": []}"#, "no", r#"{"objects": [" "]}"#]);
    let outcome = run_step(&world, draft(None), Step::Objects, 0).await.unwrap();
    assert_eq!(rejected(&outcome), "no objects: it names no object");
}

#[tokio::test]
async fn one_object_is_better_than_none() {
    let world = replying([r#"{"objects": ["kite"]}"#, "no", "no"]);
    let outcome = run_step(&world, draft(None), Step::Objects, 0).await.unwrap();
    assert_eq!(outcome.draft.head.objects, ["kite"]);
}

fn question(words: &str) -> String {
    let text = (0..120).fold(String::new(), |text, number| text + &format!("{words} {number} "));
    json!({ "question": text }).to_string()
}

#[tokio::test]
async fn a_question_goes_on_to_the_base_answer() {
    let world = replying([question("kite")]);
    let outcome = run_step(&world, draft(None), Step::Question, 0).await.unwrap();
    let Next::Run(jobs) = &outcome.next else { panic!("{:?}", outcome.next) };
    let expected = Job {
        step: Step::Answer,
        candidate: Some(CandidateName::Base),
        ..job(&outcome.draft, Step::Question, 0)
    };
    assert_eq!(jobs.as_slice(), [expected]);
    let head = &outcome.draft.head;
    assert_eq!(head.question_model.as_deref(), Some("fake/model"));
    let written = head.question.as_deref().unwrap();
    assert!(written.starts_with("kite 0 kite 1") && written.contains("`index.js`"), "{written}");
    assert_eq!(outcome.remember.len(), 1);
    assert!(written.starts_with(&outcome.remember[0].1));
    assert_eq!(
        world.llm.asked()[0].inputs,
        json!({"topic": "games", "persona": "A diver.", "objects": ["kite", "coin"]})
    );
}

#[tokio::test]
async fn a_short_question_is_asked_for_again_and_then_rejected() {
    let short = json!({"question": "Build a kite."}).to_string();
    let outcome =
        run_step(&replying([short.clone(), question("kite")]), draft(None), Step::Question, 0).await;
    assert_eq!(followed(&outcome.unwrap()), (Step::Answer, 0));
    let outcome = run_step(&replying(vec![short; 3]), draft(None), Step::Question, 0).await.unwrap();
    assert_eq!(rejected(&outcome), "no question: the question has about 3 tokens; at least 100 are needed");
}

#[tokio::test]
async fn a_question_like_a_recent_one_is_asked_for_again_and_then_rejected() {
    let known: Value = serde_json::from_str(&question("kite")).unwrap();
    let memory = || FakeMemory::default().with(RecentList::Questions, &[known["question"].as_str().unwrap()]);
    let sandbox = || FakeSandbox::finding(vec![]);
    let llm = FakeLlm::replies([reply(question("kite")), reply(question("drum"))]);
    let outcome = run_step(&world(llm, sandbox(), memory(), 3), draft(None), Step::Question, 0).await;
    assert_eq!(followed(&outcome.unwrap()), (Step::Answer, 0));
    let llm = FakeLlm::replies(vec![reply(question("kite")); 3]);
    let outcome =
        run_step(&world(llm, sandbox(), memory(), 3), draft(None), Step::Question, 0).await.unwrap();
    assert!(rejected(&outcome).contains("too like a recent one"), "{}", rejected(&outcome));
}

fn answer(files: &[(&str, &str)]) -> String {
    let files: Vec<Value> =
        files.iter().map(|(name, content)| json!({"filename": name, "content": content})).collect();
    json!({ "files": files }).to_string()
}

async fn answered<R: Into<String>>(replies: Vec<R>) -> (World, Outcome) {
    let world = replying(replies);
    let draft = Draft { candidates: [].into(), ..draft(None) };
    let outcome = run_step(&world, draft, Step::Answer, 0).await.unwrap();
    (world, outcome)
}

#[tokio::test]
async fn an_answer_becomes_one_page() {
    let good = answer(&[("index.html", "<p><script src=index.js></script>"), ("index.js", "go()")]);
    let (world, outcome) = answered(vec![good]).await;
    assert_eq!(followed(&outcome), (Step::Execute, 0));
    let candidate = base(&outcome);
    assert_eq!(
        (candidate.page.as_str(), candidate.model.as_str()),
        ("<p><script>go()</script>", "fake/model")
    );
    assert!(candidate.report.is_none() && candidate.best.is_none());
    assert_eq!(
        world.llm.asked()[0].inputs,
        json!({
            "topic": "games", "persona": "A diver.", "objects": ["kite", "coin"], "question": "Build a kite game.",
        })
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_asked_for_again_with_the_reason() {
    let good = answer(&[("index.html", "<p>")]);
    let cases = [
        ("{\"files\": [".to_owned(), "not JSON"),
        ("Here you are!".to_owned(), "not JSON"),
        (answer(&[("index.js", "go()")]), "no file named `index.html`"),
        (answer(&[]), "no file named `index.html`"),
        (answer(&[("index.html", "<script src=a.js></script>")]), "refers to `a.js`"),
        (answer(&[("index.html", "<script>let x = ;</script>")]), "line 1, column 17: "),
    ];
    for (bad, reason) in cases {
        let (world, outcome) = answered(vec![bad, good.clone()]).await;
        assert_eq!(
            (followed(&outcome), base(&outcome).page.as_str()),
            ((Step::Execute, 0), "<p>"),
            "{reason}"
        );
        let told = &world.llm.asked()[1].messages[3].content;
        assert!(told.contains(reason), "{told}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_again() {
    let cut =
        Reply { complete: false, ..reply("{\"files\": [{\"filename\": \"index.html\", \"content\": \"<p>") };
    let llm = FakeLlm::replies([cut, reply(answer(&[("index.html", "<b>")]))]);
    let world = world(llm, FakeSandbox::finding(vec![]), FakeMemory::default(), 3);
    let outcome = run_step(&world, draft(None), Step::Answer, 0).await.unwrap();
    assert_eq!(base(&outcome).page, "<b>");
    assert!(world.llm.asked()[1].messages[3].content.contains("cut off"));
}

#[tokio::test]
async fn prose_and_small_damage_around_an_answer_do_not_matter() {
    let damaged = "Sure:\n```json\n{\"files\": [{\"filename\": \"index.html\", \"content\": \"<p class=\"x\">\"},]}\n```";
    let (world, outcome) = answered(vec![damaged]).await;
    assert_eq!(base(&outcome).page, "<p class=\"x\">");
    assert_eq!(world.llm.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_whose_script_never_parses_goes_on_to_execute() {
    let bad = answer(&[("index.html", "<script>let x = ;</script>")]);
    let (world, outcome) = answered(vec![bad; 3]).await;
    assert_eq!(followed(&outcome), (Step::Execute, 0));
    assert_eq!(base(&outcome).page, "<script>let x = ;</script>");
    assert_eq!(world.llm.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_without_a_page_is_rejected() {
    let (_, outcome) = answered(vec![answer(&[("index.js", "go()")]); 3]).await;
    assert_eq!(rejected(&outcome), "no answer: there is no file named `index.html` with content");
}
