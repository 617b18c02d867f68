use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use mondo_jobs::finding::{FindingClass, Severity};
use serde_json::json;

use super::*;

const PERSONA: &str = "A retired lighthouse keeper who teaches children to tie knots.";

fn request(purpose: Purpose, seed: u64, inputs: serde_json::Value) -> Request {
    Request { purpose, messages: Vec::new(), schema: None, inputs, tokens_max: 8000, temperature: 0.7, seed }
}

fn topic_of(seed: u64) -> Topic {
    [Topic::Animation, Topic::Science, Topic::Games][usize::try_from(seed % 3).unwrap()]
}

fn objects_of(seed: u64) -> Vec<String> {
    let inputs = ObjectsInputs { topic: topic_of(seed), avoid: Vec::new() };
    objects(&inputs, seed).objects[..2 + usize::try_from(seed % 2).unwrap()].to_vec()
}

fn question_of(seed: u64) -> String {
    let inputs =
        QuestionInputs { topic: topic_of(seed), persona: PERSONA.to_owned(), objects: objects_of(seed) };
    ask(&inputs, seed).question
}

/// Hashes of all runs of three words.
fn shingles(text: &str) -> HashSet<u64> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.windows(3).map(|three| BuildHasherDefault::<DefaultHasher>::default().hash_one(three)).collect()
}

#[tokio::test]
async fn the_same_request_gets_the_same_reply() {
    let objects = json!(["bell", "boat"]);
    let requests = [
        request(Purpose::Objects, 5, json!({"topic": "games", "persona": PERSONA, "avoid": ["bell"]})),
        request(Purpose::Question, 5, json!({"topic": "games", "persona": PERSONA, "objects": objects})),
        request(
            Purpose::Answer,
            5,
            json!({"topic": "games", "persona": PERSONA, "objects": objects, "question": "?"}),
        ),
    ];
    for request in &requests {
        let first = Offline.complete(request).await.unwrap();
        assert_eq!(first, Offline.complete(request).await.unwrap());
        assert_eq!((first.model.as_str(), first.cost_micro_usd, first.complete), (MODEL, 0, true));
    }
}

#[tokio::test]
async fn inputs_of_another_purpose_are_refused() {
    let error = Offline.complete(&request(Purpose::Fix, 1, json!({"topic": "games"}))).await.unwrap_err();
    assert!(matches!(error, LlmError::Refused { .. }), "{error}");
}

#[test]
fn objects_of_recent_pairs_are_avoided_while_there_are_enough() {
    for family in families::all() {
        assert!((OBJECTS_MIN..=12).contains(&family.objects.len()), "{}", family.name);
        for (object, icon) in family.objects {
            assert!(look::icon(icon).is_some(), "{}: `{object}` has no outline `{icon}`", family.name);
        }
    }
    let all = objects(&ObjectsInputs { topic: Topic::Games, avoid: Vec::new() }, 3).objects;
    let avoid = all[..2].to_vec();
    let rest = objects(&ObjectsInputs { topic: Topic::Games, avoid: avoid.clone() }, 3).objects;
    assert!(rest.len() >= OBJECTS_MIN && rest.iter().all(|object| !avoid.contains(object)), "{rest:?}");
    let none_left = objects(&ObjectsInputs { topic: Topic::Games, avoid: all }, 3).objects;
    assert_eq!(none_left.len(), OBJECTS_MIN);
}

#[test]
fn questions_of_different_seeds_differ() {
    let questions: Vec<_> = (0..300).map(|seed| (seed, shingles(&question_of(seed)))).collect();
    let mut closest = (0.0, 0, 0);
    for (at, (seed, one)) in questions.iter().enumerate() {
        for (other_seed, other) in &questions[at + 1..] {
            let common = one.intersection(other).count();
            #[expect(clippy::cast_precision_loss, reason = "hundreds of shingles")]
            let overlap = common as f64 / (one.len() + other.len() - common) as f64;
            if overlap > closest.0 {
                closest = (overlap, *seed, *other_seed);
            }
        }
    }
    println!("closest: {closest:?}");
    assert!(closest.0 < 0.6, "{closest:?}");
}

#[test]
fn questions_are_long_enough_and_wholly_filled() {
    for seed in 0..300 {
        let question = question_of(seed);
        let tokens = question.len() / 4;
        assert!((200..=700).contains(&tokens), "seed {seed}: {tokens} tokens\n{question}");
        assert!(!question.contains(['{', '}', '[', ']', '|']), "seed {seed}:\n{question}");
        assert!(!question.contains("  "), "seed {seed}:\n{question}");
        for part in ["**Features**", "**User Actions**", PERSONA] {
            assert!(question.contains(part), "seed {seed} lacks {part}");
        }
    }
}

fn page_with(family: &'static families::Family, seed: u64, fault: Option<Fault>) -> String {
    let plan = families::plan_of(family, seed);
    let objects: Vec<String> = family.objects[..2].iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut files = page::files(&plan, &objects, seed);
    plant(&mut files, fault.as_slice(), seed);
    mondo_jobs::bundle::bundle(&files).unwrap()
}

#[test]
fn clean_pages_parse_and_are_small() {
    for family in families::all() {
        for seed in 0..10 {
            let page = page_with(family, seed, None);
            let errors = mondo_jobs::script::check_scripts(&page);
            assert!(errors.is_empty(), "{} {seed}: {errors:?}", family.name);
            assert!(page.len() < 60 * 1024, "{}: {} bytes", family.name, page.len());
            assert!(!page.contains("__"), "{}: a placeholder is left", family.name);
            assert!(
                mend::mend(&page, &[syntax_finding()], Care::Thorough).edits.is_empty(),
                "{}",
                family.name
            );
        }
    }
}

#[test]
fn every_family_has_a_place_for_every_fault_and_the_asked_code() {
    for family in families::all() {
        let clean = page_with(family, 1, None);
        for ask in family.features.iter().chain(family.actions) {
            for code in ask.served_by {
                assert!(clean.contains(code), "{}: no `{code}`", family.name);
            }
        }
        for fault in Fault::ALL {
            for seed in 0..6 {
                let clean = page_with(family, seed, None);
                let faulty = page_with(family, seed, Some(fault));
                assert!(clean != faulty, "{} {fault:?} {seed}", family.name);
            }
        }
    }
}

fn syntax_finding() -> Finding {
    finding(FindingClass::Syntax, "missing ) after argument list", 1)
}

fn finding(class: FindingClass, message: &str, line: usize) -> Finding {
    Finding {
        class,
        severity: Severity::Blocking,
        message: message.to_owned(),
        file: None,
        line: u32::try_from(line).ok(),
        column: None,
        phase: "load".to_owned(),
        page_ms: 0,
        input: None,
        stack: Vec::new(),
    }
}

/// What a browser would say of the first line in which the pages differ.
fn as_the_browser_says(clean: &str, faulty: &str, fault: Fault) -> Finding {
    let line = clean.lines().zip(faulty.lines()).position(|(one, other)| one != other).unwrap() + 1;
    let (was, is) = (clean.lines().nth(line - 1).unwrap(), faulty.lines().nth(line - 1).unwrap());
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    let word = words(is).into_iter().find(|word| !words(was).contains(word)).unwrap_or_default();
    if fault == Fault::Syntax {
        return finding(FindingClass::Syntax, "SyntaxError: missing ) after argument list", line);
    }
    if is.contains("const paused") {
        let line = faulty.lines().position(|line| line.contains("  paused = ")).unwrap() + 1;
        return finding(FindingClass::Type, "TypeError: Assignment to constant variable.", line);
    }
    if is.contains("[hintTurn]") {
        return finding(
            FindingClass::Type,
            "TypeError: Cannot read properties of undefined (reading 'key')",
            1,
        );
    }
    if is.contains(&format!("\"{word}")) {
        return finding(FindingClass::Type, "TypeError: Cannot read properties of null (reading 'x')", line);
    }
    if is.contains(&format!(".{word}(")) {
        return finding(FindingClass::Type, &format!("TypeError: ctx.{word} is not a function"), line);
    }
    finding(FindingClass::Reference, &format!("Uncaught ReferenceError: {word} is not defined"), line)
}

fn apply(page: &str, reply: &FixReply) -> String {
    reply.edits.iter().fold(page.to_owned(), |page, edit| {
        assert_eq!(page.matches(&edit.find).count(), 1, "`{}` is not unique", edit.find);
        page.replacen(&edit.find, &edit.replace, 1)
    })
}

#[test]
fn every_fault_is_mended_from_what_the_browser_says() {
    for (index, family) in (0..).zip(families::all()) {
        for fault in Fault::ALL {
            for seed in index * 6..index * 6 + 6 {
                let clean = page_with(family, seed, None);
                let faulty = page_with(family, seed, Some(fault));
                let finding = as_the_browser_says(&clean, &faulty, fault);
                let reply = mend::mend(&faulty, std::slice::from_ref(&finding), Care::Thorough);
                let mended = apply(&faulty, &reply);
                assert!(mended == clean, "{} {fault:?} {seed}: {finding:?}\n{reply:?}", family.name);
                assert!(mend::mend(&faulty, &[], Care::Thorough).edits.is_empty());
            }
        }
    }
}

#[test]
fn a_slip_is_mended_by_the_next_fix() {
    let family = families::all().next().unwrap();
    let clean = page_with(family, 3, None);
    let faulty = page_with(family, 3, Some(Fault::Reference));
    let finding = as_the_browser_says(&clean, &faulty, Fault::Reference);
    let slipped = apply(&faulty, &mend::mend(&faulty, &[finding], Care::Slipping));
    assert!(slipped != clean && slipped != faulty);
    let finding = as_the_browser_says(&clean, &slipped, Fault::Reference);
    assert!(apply(&slipped, &mend::mend(&slipped, &[finding], Care::Thorough)) == clean);
}

#[test]
fn a_hasty_fix_mends_one_cause() {
    let family = families::all().next().unwrap();
    let clean = page_with(family, 3, None);
    let plan = families::plan_of(family, 3);
    let objects: Vec<String> = family.objects[..2].iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut files = page::files(&plan, &objects, 3);
    plant(&mut files, &[Fault::Rejection, Fault::Key], 3);
    let faulty = mondo_jobs::bundle::bundle(&files).unwrap();
    let findings = [Fault::Rejection, Fault::Key].map(|fault| {
        let other = page_with(family, 3, Some(fault));
        as_the_browser_says(&clean, &other, fault)
    });
    let hasty = apply(&faulty, &mend::mend(&faulty, &findings, Care::Hasty));
    assert!(hasty != clean && hasty != faulty);
    assert!(apply(&faulty, &mend::mend(&faulty, &findings, Care::Thorough)) == clean);
}

#[test]
fn every_family_and_every_fault_come_up_soon() {
    let mut families = HashSet::new();
    let mut faults = Vec::new();
    for seed in 0..200 {
        families.extend(Topic::SHARES.map(|(topic, _)| families::plan(topic, seed).family.name));
        faults.push(faults::chosen(seed));
    }
    assert_eq!(families.len(), families::all().count());
    for fault in Fault::ALL {
        assert!(faults.iter().any(|chosen| chosen.contains(&fault)), "{fault:?}");
    }
    let count = faults.iter().filter(|chosen| !chosen.is_empty()).count();
    assert!((100..=140).contains(&count), "{count} of 200");
    assert!(faults.iter().any(|chosen| chosen.len() == 2));
}

fn clean_report() -> Report {
    Report {
        findings: Vec::new(),
        findings_left_out: 0,
        seed: 1,
        page_ms: 12_000,
        wall_ms: 400,
        frames: 700,
        inputs: 45,
        ..Report::default()
    }
}

#[test]
fn a_page_that_does_what_was_asked_is_accepted_and_one_that_lacks_it_is_not() {
    for seed in 0..60 {
        let plan = families::plan(topic_of(seed), seed);
        let page = mondo_jobs::bundle::bundle(&page::files(&plan, &objects_of(seed), seed)).unwrap();
        let question = question_of(seed);
        let judge = |page: &str, report: &Report| judge::judge(&question, page, report, seed);

        let reply = judge(&page, &clean_report());
        assert_eq!(reply.verdict, mondo_jobs::steps::replies::Verdict::Accept, "{reply:#?}");
        let bullets = question.split("**Limits**").next().unwrap().lines();
        let bullets = bullets.filter(|line| line.starts_with(['-', '1', '2', '3'])).count();
        assert_eq!(reply.requirements.len(), bullets);

        let served_by = plan.actions[0].ask.served_by[0];
        let reply = judge(&page.replace(served_by, ""), &clean_report());
        assert_eq!(reply.verdict, mondo_jobs::steps::replies::Verdict::Retry);
        assert!(reply.reasons[0].contains(served_by), "{reply:?}");

        let mut report = clean_report();
        report.findings.push(syntax_finding());
        assert_eq!(judge(&page, &report).verdict, mondo_jobs::steps::replies::Verdict::Retry);
    }
    let foreign = judge::judge("Draw a house.", "<p>", &clean_report(), 1);
    assert_eq!(foreign.verdict, mondo_jobs::steps::replies::Verdict::Reject);
}
