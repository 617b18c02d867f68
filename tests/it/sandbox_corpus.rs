//! The corpus in small: one page of each row of the failure classes is caught, clean pages are clean, mutants are
//! found. `scripts/scoreboard` runs all of it.

use mondo_jobs::{
    finding::{FindingClass, Report},
    ports::{Execution, Sandbox as _},
};
use mondo_workers::sandbox::{BackendChoice, BrowserPool};

use super::corpus::{self, Fault, Verdict, mutate::mutants};
use crate::support::sandbox::pool;

/// Every how manyth clean page is executed here.
const CLEAN_STEP: usize = 5;

const MUTANTS: usize = 6;

async fn run(pool: &BrowserPool, page: &str) -> Report {
    pool.execute(&Execution::new(page, 7)).await.unwrap()
}

#[test]
fn every_row_of_the_failure_classes_has_a_page() {
    let faults = corpus::faults(&corpus::fixtures());
    assert!(faults.len() >= 120 && corpus::clean(&corpus::fixtures()).len() >= 40);
    for row in 1..=51 {
        assert!(faults.iter().any(|fault| fault.expected.row == row), "row {row} has no page");
    }
    for letter in 'A'..='G' {
        assert!(faults.iter().filter(|fault| fault.expected.letter() == letter).count() >= 2, "{letter}");
    }
}

#[test]
fn a_mistake_in_an_asynchronous_function_is_expected_as_a_rejection() {
    let page =
        |start: &str| format!("<script>\n{start}function show() {{\n  all.push(1);\n}}\nshow();\n</script>");
    for (start, class) in [("", FindingClass::Type), ("async ", FindingClass::Rejection)] {
        let mutants = mutants(&[("page".to_owned(), page(start))], 20, 3);
        let renamed = mutants.iter().find(|mutant| mutant.page.contains(".add(")).unwrap();
        assert_eq!(renamed.expected.class, class, "{renamed:?}");
    }
}

#[tokio::test]
async fn a_page_of_each_row_is_caught_in_place() {
    let pool = pool(BackendChoice::Local, 2).await;
    let mut faults = corpus::faults(&corpus::fixtures());
    faults.sort_by_key(|fault| fault.expected.row);
    faults.dedup_by_key(|fault| fault.expected.row);
    assert!(faults.len() > 45);
    let (first, second) = faults.split_at(faults.len() / 2);
    tokio::join!(assert_caught(&pool, first), assert_caught(&pool, second));
    pool.close().await;
}

/// Faults that show only to somebody who goes on: in a list that was written anew, in the fourth choice, in a field that
/// is left empty, in the three hundredth frame, at the end of a slider, with one tool on a board, after many presses, when
/// what was started is left alone, on a phone.
const PATIENCE: [&str; 78] = [
    "b13_tea_is_ready",
    "b14_wave_after_300_frames",
    "b15_worker_that_was_ended",
    "c18_caught_by_the_page",
    "e32_line_that_no_branch_takes",
    "e34_bubbles_at_a_steady_pace",
    "e34_flake_with_each_frame",
    "f36_list_written_anew",
    "f38_arrows_by_keypress",
    "f38_space_kept_from_a_field",
    "f40_double_click_where_it_is_now",
    "f40_drag_out_of_the_board",
    "f40_drop_never_allowed",
    "f40_release_beside_the_board",
    "f40_seeds_beside_the_mouse",
    "f40_stars_on_a_sky_made_smaller",
    "f40_stone_that_jumps",
    "f40_wheel_to_the_end",
    "f41_finger_without_a_place",
    "f41_swipe_behind_a_box",
    "f42_choice_of_a_list_that_changes",
    "f42_choice_without_a_case",
    "f42_field_left_empty",
    "f42_field_with_an_apostrophe",
    "f42_last_line_deleted",
    "f42_number_below_zero",
    "f42_number_of_zero",
    "f42_numbers_joined_as_texts",
    "f42_search_that_finds_nothing",
    "f42_select_fourth_choice",
    "f42_slider_at_its_lowest",
    "f42_step_behind_an_address",
    "f44_box_that_does_not_close",
    "f44_last_of_all_deleted",
    "f44_next_beyond_the_last",
    "f44_tool_that_fails_on_the_board",
    "f44_undo_beyond_the_first",
    "f45_press_beside_on_a_phone",
    "g46_canvas_empty_on_a_phone",
    "g46_canvas_without_a_height",
    "g46_class_by_another_name",
    "g46_colour_of_seven_digits",
    "g46_length_without_unit",
    "g46_line_without_a_place",
    "g46_loop_started_twice",
    "g46_month_beyond_the_last",
    "g46_plot_that_grows",
    "g46_property_by_its_other_name",
    "g46_property_misspelt",
    "g46_round_canvas_never_painted",
    "g46_shape_without_a_place",
    "g46_style_misspelt_by_a_script",
    "g46_text_without_a_number",
    "g46_timer_started_twice",
    "g46_tip_of_the_first_bar",
    "g47_pause_that_is_for_good",
    "g48_wide_part_behind_a_tab",
    "g49_arrows_scroll_beside_a_button",
    "g50_box_behind_the_plan",
    "g50_button_beside_shortcuts",
    "g50_button_written_anew",
    "g50_click_by_another_name",
    "g50_event_misspelt",
    "g50_gloss_covers_buttons",
    "g50_key_by_another_name",
    "g50_keys_by_their_place",
    "g50_letter_by_its_place",
    "g50_list_that_hears_another_event",
    "g50_listener_given_again",
    "g50_numbers_sorted_as_texts",
    "g50_rows_added_to_the_markup",
    "g50_second_game_stands_still",
    "g50_second_round_of_words",
    "g50_unseen_box_over_all",
    "g51_night_that_swallows_a_text",
    "g51_pale_field",
    "g51_theme_that_hides_text",
    "g51_time_that_the_day_swallows",
];

#[tokio::test]
async fn what_only_patience_shows_is_caught() {
    let pool = pool(BackendChoice::Local, 2).await;
    let mut faults = corpus::faults(&corpus::fixtures());
    faults.retain(|fault| PATIENCE.contains(&fault.name.as_str()));
    assert_eq!(faults.len(), PATIENCE.len());
    let (first, second) = faults.split_at(faults.len() / 2);
    tokio::join!(assert_caught(&pool, first), assert_caught(&pool, second));
    pool.close().await;
}

/// A list of choices that is left open, fields that are called as the browser calls what it knows of a form, controls that
/// are shut, a plot that nonsense empties, an animation that waits for its button, one that waits for a gamepad, a shader that
/// is slow without a graphics card, one that is drawn on demand, canvases that are empty until they are wanted, and a search, a
/// theme, a box, a map and keys that only look like those that fail; colours that are mixed, a race that is held, a pump that
/// is started again at once, bars that hold the pointer, and a lantern that moves only while a key is held;
/// quoits that lie where they are thrown and are thrown again after a while, and stalls and a crew that are written anew with all that
/// they need.
#[tokio::test]
async fn good_pages_that_were_accused_are_good() {
    let pool = pool(BackendChoice::Local, 2).await;
    let mut clean = corpus::clean(&corpus::fixtures());
    let accused = [
        "allotment",
        "booking_names",
        "cave_flight",
        "clocks_of_two_cities",
        "controls_that_are_shut",
        "crew_of_the_ferry",
        "field_guide",
        "flip_book",
        "gamepad_tester",
        "lantern_walk",
        "lists_of_choices",
        "market_of_three_stalls",
        "paint_shop",
        "plot_of_a_formula",
        "prism_on_demand",
        "quoits_on_the_green",
        "race_behind_a_button",
        "snail_race",
        "sunrise_once",
        "water_pump",
        "workbench_of_care",
    ];
    clean.retain(|(name, _)| accused.contains(&name.as_str()));
    assert_eq!(clean.len(), accused.len());
    let (first, second) = clean.split_at(clean.len() / 2);
    tokio::join!(assert_good(&pool, first), assert_good(&pool, second));
    pool.close().await;
}

/// The browser used to wait for a frame for ever, in one swipe of two.
#[tokio::test]
async fn a_finger_that_swipes_hangs_no_page() {
    let pool = pool(BackendChoice::Local, 1).await;
    let faults = corpus::faults(&corpus::fixtures());
    let fault = faults.iter().find(|fault| fault.name == "f41_finger_without_a_place").unwrap();
    for _ in 0..6 {
        let report = run(&pool, &fault.page).await;
        assert!(report.findings.iter().any(|finding| finding.phase == "phone"), "it is swiped over");
        let hangs: Vec<_> =
            report.findings.iter().filter(|found| found.class == FindingClass::Hang).collect();
        assert!(hangs.is_empty(), "{hangs:?}");
    }
    pool.close().await;
}

async fn assert_good(pool: &BrowserPool, pages: &[(String, String)]) {
    for (name, page) in pages {
        for seed in 0..3 {
            let report = pool.execute(&Execution::new(page, seed)).await.unwrap();
            assert_eq!(report.findings, [], "{name}, seed {seed}");
        }
    }
}

async fn assert_caught(pool: &BrowserPool, faults: &[Fault]) {
    for Fault { name, page, expected } in faults {
        let report = run(pool, page).await;
        assert_eq!(expected.judge(&report), Verdict::Caught, "{name}: {:#?}", report.findings);
    }
}

#[tokio::test]
async fn clean_pages_and_their_mutants_are_told_apart() {
    let pool = pool(BackendChoice::Local, 2).await;
    let clean: Vec<_> = corpus::clean(&corpus::fixtures()).into_iter().step_by(CLEAN_STEP).collect();
    let mutants = mutants(&clean, MUTANTS, 3);
    assert_eq!(mutants.len(), MUTANTS);
    let check_clean = async {
        for (name, page) in &clean {
            assert_eq!(run(&pool, page).await.findings, [], "{name}");
        }
    };
    tokio::join!(check_clean, assert_caught(&pool, &mutants));
    pool.close().await;
}
