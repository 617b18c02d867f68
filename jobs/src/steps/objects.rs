//! Picks topic and persona by the pair's seed, and asks for objects that recent pairs have not used.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{
    ask::{Ask, Refused, ask, request},
    follow,
    replies::ObjectsReply,
};
use crate::{
    job::{Job, Step},
    pair::{Draft, Topic},
    ports::{Purpose, RecentList, Reply},
    step::{Outcome, StepContext, StepError},
};

/// How many recent objects a model is told to avoid; all of them are avoided when choosing.
const AVOID_MAX: usize = 100;

/// The most objects that are taken of one reply.
const OBJECTS_MAX: usize = 100;

/// The longest object, in characters.
const OBJECT_CHARS_MAX: usize = 60;

pub(super) async fn run(job: &Job, mut draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let mut dice = ChaCha8Rng::seed_from_u64(draft.head.seed);
    let topic = pick_topic(dice.random_range(0..100));
    let persona = ctx.personas.pick(draft.head.seed).to_owned();
    let recent = ctx.memory.recent(RecentList::Objects).await?;

    let avoid: Vec<&String> = recent.iter().take(AVOID_MAX).collect();
    let inputs = json!({"topic": topic, "persona": persona, "avoid": avoid});
    let request = request::<ObjectsReply>(Purpose::Objects, &inputs, inputs.clone(), draft.head.seed)?;
    let objects = match ask(&*ctx.llm, request, check).await? {
        Ask::Usable(objects) | Ask::Unusable { fallback: Some(objects), .. } => objects,
        Ask::Unusable { reason, fallback: None } => {
            return Ok(Outcome::reject(draft, format!("no objects: {reason}")));
        }
    };

    let count = dice.random_range(2..=3);
    let chosen = choose(objects, &recent, count, &mut dice);
    draft.head.topic = Some(topic);
    draft.head.persona = Some(persona);
    draft.head.objects.clone_from(&chosen);
    let mut outcome = Outcome::new(draft, follow(job, Step::Question, 0));
    outcome.remember = chosen.into_iter().map(|object| (RecentList::Objects, object)).collect();
    Ok(outcome)
}

fn pick_topic(mut percent: u32) -> Topic {
    for (topic, share) in Topic::SHARES {
        match percent.checked_sub(share) {
            Some(rest) => percent = rest,
            None => return topic,
        }
    }
    Topic::Animation
}

fn check(reply: ObjectsReply, _: &Reply) -> Result<Vec<String>, Refused<Vec<String>>> {
    let mut objects: Vec<String> = Vec::new();
    for object in reply.objects {
        let object = object.split_whitespace().collect::<Vec<_>>().join(" ");
        let known = objects.iter().any(|known| is_same(known, &object));
        if !object.is_empty() && object.chars().count() <= OBJECT_CHARS_MAX && !known {
            objects.push(object);
        }
        if objects.len() == OBJECTS_MAX {
            break;
        }
    }
    match objects.len() {
        0 => Err(Refused::outright("it names no object")),
        1 => Err(Refused {
            reason: "it names one object; at least two different ones are needed".to_owned(),
            fallback: Some(objects),
        }),
        _ => Ok(objects),
    }
}

/// So many objects at random, those first that recent pairs have not used.
fn choose(objects: Vec<String>, recent: &[String], count: usize, dice: &mut ChaCha8Rng) -> Vec<String> {
    let is_used = |object: &String| recent.iter().any(|used| is_same(used, object));
    let (mut used, mut fresh): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_used);
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let pool = if fresh.is_empty() { &mut used } else { &mut fresh };
        if pool.is_empty() {
            break;
        }
        chosen.push(pool.swap_remove(dice.random_range(0..pool.len())));
    }
    chosen
}

fn is_same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::fake::reply;

    #[test]
    fn of_a_reply_with_very_many_objects_the_first_are_taken() {
        let objects: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        let taken = check(ObjectsReply { objects: objects.clone() }, &reply("")).unwrap();
        assert_eq!(taken, objects[..OBJECTS_MAX]);
    }

    #[test]
    fn topics_come_up_by_their_shares() {
        let picked: Vec<Topic> = (0..100).map(pick_topic).collect();
        for (topic, share) in Topic::SHARES {
            let count = picked.iter().filter(|&&picked| picked == topic).count();
            assert_eq!(count, usize::try_from(share).unwrap(), "{}", topic.name());
        }
    }

    #[test]
    fn fresh_objects_are_chosen_before_used_ones() {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        for seed in 0..50 {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            let mut chosen = choose(owned(&["kite", "coin", "drum"]), &owned(&["Kite"]), 2, &mut dice);
            chosen.sort_unstable();
            assert_eq!(chosen, ["coin", "drum"]);
            let chosen = choose(owned(&["kite", "coin"]), &owned(&["kite"]), 3, &mut dice);
            assert_eq!(chosen, ["coin", "kite"]);
        }
    }
}
