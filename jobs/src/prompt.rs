//! Renders the prompts in `jobs/prompts`, one pair of templates (`system`, `user`) for each purpose. A variable
//! that a template names and its step does not give is an error, never an empty text.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

use crate::{
    ports::{Message, Purpose, Role},
    step::StepError,
};

const TEMPLATES: [(&str, &str); 11] = [
    ("objects.system", include_str!("../prompts/objects.system.j2")),
    ("objects.user", include_str!("../prompts/objects.user.j2")),
    ("question.system", include_str!("../prompts/question.system.j2")),
    ("question.user", include_str!("../prompts/question.user.j2")),
    ("answer.system", include_str!("../prompts/answer.system.j2")),
    ("answer.user", include_str!("../prompts/answer.user.j2")),
    ("fix.system", include_str!("../prompts/fix.system.j2")),
    ("fix.user", include_str!("../prompts/fix.user.j2")),
    ("solve.system", include_str!("../prompts/solve.system.j2")),
    ("solve.user", include_str!("../prompts/solve.user.j2")),
    (AGAIN, include_str!("../prompts/again.user.j2")),
];

const AGAIN: &str = "again.user";

/// The conversation that starts a request: the rules, then what is asked.
///
/// # Errors
/// When a template does not fit `values`.
pub(crate) fn messages(purpose: Purpose, values: &impl Serialize) -> Result<Vec<Message>, StepError> {
    let (system, user) = match purpose {
        Purpose::Objects => ("objects.system", "objects.user"),
        Purpose::Question => ("question.system", "question.user"),
        Purpose::Answer => ("answer.system", "answer.user"),
        Purpose::Fix => ("fix.system", "fix.user"),
        Purpose::Solve => ("solve.system", "solve.user"),
    };
    Ok(vec![
        Message { role: Role::System, content: render(system, values)? },
        Message { role: Role::User, content: render(user, values)? },
    ])
}

/// What a model is told when its reply cannot be used; `times` counts how often it has been told, from 1.
///
/// # Errors
/// When the template cannot be rendered.
pub(crate) fn again(reason: &str, times: u32) -> Result<Message, StepError> {
    #[derive(Serialize)]
    struct Values<'a> {
        reason: &'a str,
        times: u32,
    }
    Ok(Message { role: Role::User, content: render(AGAIN, &Values { reason, times })? })
}

fn render(name: &'static str, values: &impl Serialize) -> Result<String, StepError> {
    let failed = |error: &minijinja::Error| StepError::Prompt { name, message: format!("{error:#}") };
    let environment = ENVIRONMENT.as_ref().map_err(failed)?;
    let template = environment.get_template(name).map_err(|error| failed(&error))?;
    template.render(Serde(values)).map_err(|error| failed(&error))
}

static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
});

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_missing_value_is_an_error_that_names_the_template() {
        let error = messages(Purpose::Answer, &json!({})).unwrap_err();
        let StepError::Prompt { name, message } = &error else { panic!("{error}") };
        assert_eq!(*name, "answer.user");
        assert!(message.contains("undefined"), "{message}");
    }

    #[test]
    fn values_are_neither_escaped_nor_read_as_templates() {
        let question = "a < b && {{ secret }} {% if %}";
        let messages = messages(Purpose::Answer, &json!({"question": question})).unwrap();
        assert!(messages[1].content.contains(question));
    }

    #[test]
    fn every_prompt_reads_as_it_should() {
        let finding = json!({
            "class": "type", "severity": "blocking", "message": "TypeError: x is null", "line": 3, "column": 7,
            "phase": "click", "page_ms": 1200, "input": "click button \"Start\"",
        });
        let bare = json!({
            "class": "blank", "severity": "advice", "message": "nothing is drawn", "line": null, "column": null,
            "phase": "idle", "page_ms": 900, "input": null,
        });
        let report = json!({"page_ms": 10_000, "frames": 300, "inputs": 40, "findings_left_out": 2});
        let source = json!({"whole": false, "lines": 90, "text": "  3| x.y()"});
        let cases = [
            (Purpose::Objects, json!({"topic": "games", "persona": "A diver.", "avoid": ["kite", "coin"]})),
            (
                Purpose::Question,
                json!({"topic": "science", "persona": "A diver.", "objects": ["kite", "coin"]}),
            ),
            (Purpose::Answer, json!({"question": "Build a kite."})),
            (
                Purpose::Fix,
                json!({
                    "question": "Build a kite.", "findings": [finding, bare], "findings_left_out": 1,
                    "objections": ["no score"], "source": source,
                }),
            ),
            (
                Purpose::Solve,
                json!({"question": "Build a kite.", "findings": [finding], "report": report, "source": source}),
            ),
        ];
        for (purpose, values) in cases {
            let messages = messages(purpose, &values).unwrap();
            insta::assert_snapshot!(format!("{purpose:?}"), messages[1].content);
        }
        insta::assert_snapshot!("again", again("it is not JSON", 1).unwrap().content);
        insta::assert_snapshot!("again_2", again("it is not JSON", 2).unwrap().content);
    }
}
