//! What is broken next, and for how long.

use std::time::Duration;

use crate::{dice::Dice, proxy::Mode};

/// What happens to the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// A worker is killed, and another one started in its place after a while.
    Kill { back_after: Duration },
    /// A process that a worker has started for one job is killed, if there is one.
    KillAlone,
    /// A worker is stopped for longer than its lease, and then goes on.
    Stop { time: Duration },
    /// Redis is killed, or told to shut down, and started again.
    Redis { kindly: bool, back_after: Duration },
    /// Every connection of a link is reset.
    Cut,
    /// A link is broken in a certain manner.
    Link { mode: Mode, time: Duration },
}

/// How often what is broken, in kills.
const LONE_KILLS: f64 = 0.2;
const STOPS: f64 = 0.08;
const REDIS_RESTARTS: f64 = 0.04;
const CUTS: f64 = 0.12;
const BROKEN_LINKS: f64 = 0.16;

/// What is broken at one beat: always a worker, and sometimes more.
pub(crate) fn next(dice: &mut Dice, lease: Duration) -> Vec<Fault> {
    let ms = Duration::from_millis;
    let mut faults = vec![Fault::Kill { back_after: dice.between(ms(100), ms(3000)) }];
    if dice.chance(LONE_KILLS) {
        faults.push(Fault::KillAlone);
    }
    if dice.chance(STOPS) {
        faults.push(Fault::Stop { time: dice.between(lease.mul_f64(1.2), lease * 3) });
    }
    if dice.chance(REDIS_RESTARTS) {
        faults.push(Fault::Redis { kindly: dice.chance(0.3), back_after: dice.between(ms(50), ms(3000)) });
    }
    if dice.chance(CUTS) {
        faults.push(Fault::Cut);
    }
    if dice.chance(BROKEN_LINKS) {
        let mode = match dice.below(6) {
            0 => Mode::Delay(ms(5), ms(200)),
            1 => Mode::Trickle(ms(5)),
            2 => Mode::Stall,
            3 => Mode::Blackhole,
            4 => Mode::Refuse,
            _ => Mode::LoseReplies(0.05),
        };
        faults.push(Fault::Link { mode, time: dice.between(ms(500), lease) });
    }
    faults
}
