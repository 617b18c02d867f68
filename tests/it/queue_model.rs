//! The queue against a model of it: whatever happens in whatever order, it answers what the model answers and
//! everything is where the model has it.
//!
//! After each operation the whole of Redis is compared: each job in its one place with its failed runs, crashes,
//! owner and lease; each pair's state and commits; the order of the ready list; every counter; and the bytes held,
//! which must be those of the records. That a job is lost, committed twice, committed after its pair ended, or
//! ready without its ending commit would be a difference. The doctor, who looks now and then, must find exactly the
//! leases that lapsed.
//!
//! Nothing here waits. A worker that crashes has its entries made idle, and the times at which delayed jobs are
//! due and hand-overs lapse, once checked, are replaced by those of the model's clock: Redis has no clock that a
//! test could set.
//!
//! `PROPTEST_CASES=20000 cargo test --test it queue_model` looks further. What it finds is kept in
//! `proptest-regressions/` and tried first from then on.

mod bench;
mod call;
mod handover;
mod model;
mod ops;
mod view;

use std::collections::BTreeSet;

use mondo_jobs::queue::{Bounds, Queue};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseResult, TestRunner},
};
use redis::aio::MultiplexedConnection;

use self::{
    bench::Bench,
    model::Model,
    ops::{HELD_MAX, Op, any_op},
};
use crate::support::{
    queue::{LONG_LEASE, connect_bounded},
    redis::TestRedis,
};

/// Cases, unless the environment says otherwise.
const CASES: u32 = 64;
/// Operations of the longest case.
const OPS_MAX: usize = 60;
/// The doctor looks after each so many operations and after the last: it asks Redis ten times as much as all the
/// rest, and looks at states that were found to be those of the model.
const LOOK_EVERY: usize = 5;

#[test]
fn the_queue_does_what_its_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (redis, queue, connection) = runtime.block_on(async {
        let redis = TestRedis::start().await;
        let bounds = Bounds { pairs: HELD_MAX, ..Bounds::default() };
        let queue = connect_bounded(redis.url(), LONG_LEASE, 1, bounds).await;
        let connection = redis.connection().await;
        (redis, queue, connection)
    });
    let mut config = Config { source_file: Some(file!()), ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let ops = proptest::collection::vec(any_op(), 20..OPS_MAX);
    let found = TestRunner::new(config)
        .run(&ops, |ops| runtime.block_on(each_answer_and_each_place(&queue, &connection, &ops)));
    runtime.block_on(async { drop((queue, redis)) });
    if let Err(error) = found {
        panic!("{error}");
    }
}

async fn each_answer_and_each_place(
    queue: &Queue,
    connection: &MultiplexedConnection,
    ops: &[Op],
) -> TestCaseResult {
    let (mut model, mut bench) = (Model::default(), Bench::new(queue, connection).await);
    for (number, op) in ops.iter().enumerate() {
        let (call, expected) = model.apply(op);
        let answer = bench.ask(&call).await;
        prop_assert_eq!(answer, expected, "answer to operation {}, {:?}", number, call);
        prop_assert_eq!(bench.view().await, model.view(), "after operation {}, {:?}", number, call);
        if number % LOOK_EVERY != 0 && number + 1 != ops.len() {
            continue;
        }
        let silent = model.silent().into_iter().map(|job| format!("job {job} is claimed and silent"));
        let silent: BTreeSet<String> = silent.collect();
        prop_assert_eq!(bench.violations().await, silent, "after operation {}, {:?}", number, call);
    }
    Ok(())
}
