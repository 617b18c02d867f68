//! The score as a person reads it.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::{Alarm, Judged, Score};

const LETTERS: [(char, &str); 7] = [
    ('A', "parse and load"),
    ('B', "async"),
    ('C', "reported, not thrown"),
    ('D', "resources and policy"),
    ('E', "the machine"),
    ('F', "interaction"),
    ('G', "what is seen"),
];

/// What a verdict other than caught is called.
const VERDICTS: [&str; 5] = ["caught", "wrong line", "wrong input", "wrong class", "missed"];

pub(super) fn of(score: &Score) -> String {
    let mut text = format!("{} browsers, seed {}\n{}\n", score.backend, score.seed, by_class(score));
    let uncaught = score.faults.iter().chain(&score.mutants).filter(|judged| !judged.is_caught());
    for judged in uncaught {
        let _ = writeln!(text, "{} (row {}): {}", judged.name, judged.row, judged.verdict);
        if judged.verdict != "missed" {
            let _ = writeln!(text, "    expected at {}", lines(&judged.lines));
        }
        for found in &judged.found {
            let _ = writeln!(text, "    found {found}");
        }
    }
    let alarms = score.false_alarms.len();
    let share = 100.0 * score.false_alarm_share();
    let _ = writeln!(text, "{alarms} false alarms on {} clean pages ({share:.1} %)", score.clean_pages);
    text.extend(score.false_alarms.iter().map(alarm));
    let _ = writeln!(text, "{} clean pages with advice", score.advised.len());
    text.extend(score.advised.iter().map(alarm));
    let _ = writeln!(text, "{} pages unsteady over {} executions each", score.unsteady.len(), score.repeats);
    for page in &score.unsteady {
        let _ = writeln!(text, "  {page}");
    }
    text
}

fn by_class(score: &Score) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let heading = ["class", "pages"].into_iter().chain(VERDICTS);
    table.set_header(heading);
    for (letter, words) in LETTERS {
        let of_letter = score.faults.iter().filter(|judged| judged.letter == letter);
        table.add_row(row(&format!("{letter} {words}"), &of_letter.collect::<Vec<_>>()));
    }
    table.add_row(row("all planted faults", &score.faults.iter().collect::<Vec<_>>()));
    table.add_row(row("mutants", &score.mutants.iter().collect::<Vec<_>>()));
    table
}

fn row(name: &str, judged: &[&Judged]) -> Vec<String> {
    let count = |verdict: &&str| judged.iter().filter(|judged| judged.verdict == *verdict).count();
    let counts = VERDICTS.iter().map(|verdict| count(verdict).to_string());
    [name.to_owned(), judged.len().to_string()].into_iter().chain(counts).collect()
}

fn lines(lines: &[u32]) -> String {
    match lines {
        [] => "no line".to_owned(),
        [line] => format!("line {line}"),
        [first, .., last] => format!("lines {first} to {last}"),
    }
}

fn alarm(alarm: &Alarm) -> String {
    let found: Vec<_> = alarm.found.iter().map(|found| format!("    {found}\n")).collect();
    format!("  {}\n{}", alarm.name, found.concat())
}
