use mondo_jobs::pair::PairId;
use tempfile::TempDir;

use super::*;

fn config(dir: &TempDir) -> SpoolConfig {
    SpoolConfig { dir: dir.path().join("data").join("spool"), bytes_max: 1024 * 1024 }
}

fn id(key: &str) -> ReplyId {
    (PairId::fresh(), key.to_owned())
}

/// The bytes of a file with these replies.
fn log_of(replies: &[(&ReplyId, &[u8])]) -> Vec<u8> {
    replies.iter().flat_map(|(id, reply)| encode(id, reply)).collect()
}

/// A spool that finds this file of a process that is gone.
async fn finding(dir: &TempDir, bytes: &[u8]) -> Spool {
    let spool = Spool::open(config(dir)).await.unwrap();
    fs::write(spool.config.dir.join("0.1.log"), bytes).unwrap();
    spool.adopt().await.unwrap();
    spool
}

/// How many files wait and how many were put aside.
fn files(dir: &TempDir) -> (usize, usize) {
    let (files, bad) = list(&config(dir).dir).unwrap();
    (files.len(), bad.len())
}

#[tokio::test]
async fn what_waits_is_found_until_it_need_not_wait_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(config(&dir)).await.unwrap();
    let (one, two) = (id("one"), id("two"));
    assert_eq!(spool.find(&one).await.unwrap(), None);
    for (id, reply) in [(&one, "first"), (&one, "never"), (&two, "second")] {
        spool.append(id.clone(), reply.into()).await.unwrap();
    }
    assert_eq!(spool.find(&one).await.unwrap().unwrap(), b"first", "the first reply under a key stays");
    assert_eq!(usage(&config(&dir).dir).unwrap(), spool.usage().await);
    assert_eq!(spool.usage().await.records, 2);

    spool.forget(one.clone(), false).await.unwrap();
    assert_eq!(spool.find(&one).await.unwrap(), None);
    assert_eq!(spool.waiting().await.unwrap(), std::slice::from_ref(&two));
    spool.forget(two, false).await.unwrap();
    assert_eq!(usage(&config(&dir).dir).unwrap(), Usage::default(), "an empty file is short again");

    spool.append(one.clone(), b"again".to_vec()).await.unwrap();
    assert_eq!(spool.find(&one).await.unwrap().unwrap(), b"again");
}

#[tokio::test]
async fn a_file_is_taken_over_once_its_owner_is_gone_and_by_one_only() {
    let dir = tempfile::tempdir().unwrap();
    let owner = Spool::open(config(&dir)).await.unwrap();
    let id = id("key");
    owner.append(id.clone(), b"reply".to_vec()).await.unwrap();
    let (one, two) = (Spool::open(config(&dir)).await.unwrap(), Spool::open(config(&dir)).await.unwrap());
    let holders = async || [one.usage().await.records, two.usage().await.records];
    one.adopt().await.unwrap();
    assert_eq!(holders().await, [0, 0], "its owner lives");
    assert_eq!(one.find(&id).await.unwrap().unwrap(), b"reply", "but it is seen");

    drop(owner);
    for spool in [&one, &two, &one] {
        assert_eq!(spool.find(&id).await.unwrap().unwrap(), b"reply");
    }
    assert_eq!(holders().await, [1, 0]);
    one.forget(id.clone(), false).await.unwrap();
    assert_eq!((two.find(&id).await.unwrap(), files(&dir)), (None, (2, 0)), "nothing is left of it");
}

#[tokio::test]
async fn a_file_that_was_cut_off_anywhere_gives_its_whole_replies() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(config(&dir)).await.unwrap();
    let (one, two) = (id("one"), id("two"));
    let (first, both) = (log_of(&[(&one, b"1")]), log_of(&[(&one, b"1"), (&two, b"22")]));
    for end in 0..=both.len() {
        fs::write(spool.config.dir.join("0.1.log"), &both[..end]).unwrap();
        spool.adopt().await.unwrap();
        let expected = [end >= first.len(), end == both.len()];
        for (id, expected) in [&one, &two].into_iter().zip(expected) {
            assert_eq!(spool.find(id).await.unwrap().is_some(), expected, "cut at byte {end}");
            spool.forget(id.clone(), false).await.unwrap();
        }
        assert_eq!(files(&dir), (1, 0), "cut at byte {end}");
    }
}

#[tokio::test]
async fn a_damaged_file_gives_its_other_replies_and_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, three) = (id("one"), id("two"), id("three"));
    let mut bytes = log_of(&[(&one, b"1"), (&two, b"22"), (&three, b"333")]);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    let spool = finding(&dir, &bytes).await;
    assert_eq!(spool.find(&one).await.unwrap().unwrap(), b"1");
    assert_eq!(spool.find(&two).await.unwrap(), None);
    assert_eq!(spool.find(&three).await.unwrap().unwrap(), b"333");

    for id in [one, three] {
        assert_eq!(files(&dir), (2, 0));
        spool.forget(id, false).await.unwrap();
    }
    assert_eq!(files(&dir), (1, 1));
    assert_eq!(fs::read(config(&dir).dir.join("0.1.log.bad")).unwrap(), bytes);
    assert_eq!(usage(&config(&dir).dir).unwrap(), Usage { records: 0, bytes: 0, set_aside: 1 });
}

#[tokio::test]
async fn a_reply_that_cannot_be_used_is_put_aside_and_the_next_one_has_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(config(&dir)).await.unwrap();
    let (bad, good) = (id("bad"), id("good"));
    spool.append(bad.clone(), b"reply".to_vec()).await.unwrap();
    spool.forget(bad, true).await.unwrap();
    assert_eq!(files(&dir), (0, 1));
    spool.append(good.clone(), b"reply".to_vec()).await.unwrap();
    assert_eq!(spool.find(&good).await.unwrap().unwrap(), b"reply");
}

#[tokio::test]
async fn a_full_spool_refuses_until_it_is_drained() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(SpoolConfig { bytes_max: 1000, ..config(&dir) }).await.unwrap();
    let (one, two) = (id("one"), id("two"));
    spool.append(one.clone(), vec![b'x'; 600]).await.unwrap();
    let error = spool.append(two.clone(), vec![b'x'; 600]).await.unwrap_err();
    assert_eq!(error.to_string(), "the spool has its 1000 bytes; MONDO_SPOOL_MB sets the limit");
    spool.forget(one, false).await.unwrap();
    spool.append(two, vec![b'x'; 600]).await.unwrap();
}

#[tokio::test]
async fn a_spool_that_is_closed_leaves_only_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let empty = Spool::open(config(&dir)).await.unwrap();
    empty.close().await;
    assert_eq!(files(&dir), (0, 0));

    let spool = Spool::open(config(&dir)).await.unwrap();
    let id = id("key");
    spool.append(id.clone(), b"reply".to_vec()).await.unwrap();
    spool.close().await;
    drop(spool);
    let next = Spool::open(config(&dir)).await.unwrap();
    next.adopt().await.unwrap();
    assert_eq!(next.find(&id).await.unwrap().unwrap(), b"reply");
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), "a file in the way").unwrap();
    let Err(error) = Spool::open(config(&dir)).await else { panic!("opened") };
    let text = error.to_string();
    assert!(text.contains("data/spool") && text.contains("set MONDO_DATA_DIR to a directory"), "{text}");
}
