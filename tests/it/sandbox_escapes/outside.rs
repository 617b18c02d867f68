//! What the kernel says of the browser's processes, seen from outside: a page may be wrong about where it is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use mondo_workers::sandbox::{BackendChoice, BrowserPool};

use super::{SECRET, say};
use crate::support::{
    sandbox::{docker, execute, pool},
    wait::until,
};

/// One process of a browser, by its number outside.
struct Process {
    id: u32,
    /// What Chromium calls it: `browser`, `zygote`, `gpu-process`, `utility`, `renderer`.
    kind: String,
}

impl Process {
    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.id.to_string()).join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{} {name}: {error}", self.kind))
    }

    /// A line of the kernel's account of it.
    fn status(&self, name: &str) -> String {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name}: {status}")).trim().to_owned()
    }

    /// Processor time that it has used; nothing once it has ended.
    fn ticks(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.file("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    }

    fn link(&self, name: &str) -> PathBuf {
        fs::read_link(self.file(name)).unwrap_or_else(|error| panic!("{} {name}: {error}", self.kind))
    }
}

/// The browser's processes below `root`. Chromium's own bookkeeping may end one while we look.
fn browser_below(root: u32) -> Vec<Process> {
    let parents: Vec<(u32, u32)> =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| parent_of(&entry)).collect();
    let mut family = vec![root];
    let mut index = 0;
    while index < family.len() {
        let parent = family[index];
        family.extend(parents.iter().filter(|(_, its)| *its == parent).map(|(id, _)| *id));
        index += 1;
    }
    family.into_iter().filter_map(as_browser).collect()
}

fn parent_of(entry: &fs::DirEntry) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    Some((entry.file_name().to_str()?.parse().ok()?, parent))
}

fn as_browser(id: u32) -> Option<Process> {
    let line = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
    let line = line.replace('\0', " ");
    let arguments = line.strip_prefix("/usr/lib/chromium/chromium-headless-shell ")?;
    let kind =
        arguments.split(' ').find_map(|argument| argument.strip_prefix("--type=")).unwrap_or("browser");
    Some(Process { id, kind: kind.to_owned() })
}

async fn check(backend: BackendChoice) {
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secret, SECRET).unwrap();
    let pool = pool(backend, 1).await;
    let root = root_of(backend);
    let page = process_of_a_page(&pool, root).await;
    until("the page's process is gone", || async { !page.file("stat").exists() }).await;
    let processes = browser_below(root);
    let kinds: BTreeSet<&str> = processes.iter().map(|process| process.kind.as_str()).collect();
    for kind in ["browser", "zygote", "renderer"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    let ours = Process { id: std::process::id(), kind: "test".to_owned() };
    let browser = processes.iter().find(|process| process.kind == "browser").unwrap();
    for process in &processes {
        let of = |name| process.status(name);
        say(&format!(
            "{} | user {} | filter {} | capabilities {}",
            process.kind,
            of("Uid"),
            of("Seccomp"),
            of("CapEff")
        ));
        check_privileges(process, backend);
        check_network(process, &ours);
        assert!(!process.file("root").join(secret.path().strip_prefix("/").unwrap()).exists());
    }
    check_renderers(&processes, browser);
    check_places_to_write(browser);
    pool.close().await;
}

/// Executes a page and gives its process: of those that may be one, the one that has worked most. Chromium keeps
/// others that have had no page.
async fn process_of_a_page(pool: &BrowserPool, root: u32) -> Process {
    let mut page = None;
    let mut ticks_most = 0;
    let mut execution = std::pin::pin!(execute(pool, "dice"));
    loop {
        tokio::select! {
            _report = &mut execution => return page.expect("a process of the page"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        for process in browser_below(root).into_iter().filter(|process| process.kind == "renderer") {
            let Some(ticks) = process.ticks().filter(|ticks| *ticks > ticks_most) else { continue };
            (page, ticks_most) = (Some(process), ticks);
        }
    }
}

/// The process under which the browser of the only slot runs.
fn root_of(backend: BackendChoice) -> u32 {
    if backend == BackendChoice::Local {
        return std::process::id();
    }
    let filter = format!("name=mondo-sandbox-{}-", std::process::id());
    let container = docker(&["ps", "--quiet", "--filter", &filter]);
    let id = docker(&["inspect", "--format", "{{.State.Pid}}", container.trim()]);
    id.trim().parse().unwrap_or_else(|_| panic!("one container, not `{container}`"))
}

fn check_privileges(process: &Process, backend: BackendChoice) {
    let kind = &process.kind;
    assert!(!process.status("Uid").split_whitespace().any(|id| id == "0"), "{kind} is root");
    assert_eq!(process.status("NoNewPrivs"), "1", "{kind}");
    // Chromium's zygote keeps rights over the namespaces that it makes for the pages, and no page runs in it.
    if kind != "zygote" {
        assert_eq!(process.status("CapEff"), "0000000000000000", "{kind}");
    }
    if backend == BackendChoice::Docker || kind == "renderer" {
        assert_eq!(process.status("Seccomp"), "2", "{kind} has no system call filter");
    }
}

fn check_network(process: &Process, ours: &Process) {
    assert_ne!(process.link("ns/net"), ours.link("ns/net"));
    let devices = process.read("net/dev");
    let devices: Vec<&str> =
        devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(devices, ["lo"], "{}", process.kind);
    for table in ["tcp", "tcp6", "udp", "udp6", "raw", "packet", "route"] {
        // The first line names the columns; a table of a protocol that the kernel has not is not there.
        let sockets = fs::read_to_string(process.file("net").join(table)).unwrap_or_default();
        assert_eq!(sockets.lines().skip(1).count(), 0, "{} has {table}: {sockets}", process.kind);
    }
}

/// Chromium's own sandbox is on inside of ours, and the browser's pipe to us is not in a page's process.
fn check_renderers(processes: &[Process], browser: &Process) {
    let pipe = [browser.link("fd/3"), browser.link("fd/4")];
    let levels = |process: &Process| process.status("NSpid").split_whitespace().count();
    for renderer in processes.iter().filter(|process| process.kind == "renderer") {
        for namespace in ["ns/user", "ns/pid", "ns/net"] {
            assert_ne!(renderer.link(namespace), browser.link(namespace), "{namespace}");
        }
        assert!(levels(renderer) > levels(browser));
        assert!(
            fs::read_dir(renderer.file("root")).map_or(true, |mut root| root.next().is_none()),
            "it sees files"
        );
        for open in fs::read_dir(renderer.file("fd")).unwrap().flatten() {
            let target = fs::read_link(open.path()).unwrap_or_default();
            assert!(!pipe.contains(&target), "a page's process holds the browser's pipe");
        }
    }
}

/// What can be written to is memory, bounded and gone with the browser.
fn check_places_to_write(browser: &Process) {
    let mut writable = BTreeSet::new();
    for line in browser.read("mountinfo").lines() {
        let (mount, file_system) = line.split_once(" - ").unwrap();
        let fields: Vec<&str> = mount.split(' ').collect();
        let (place, options) = (fields[4], fields[5]);
        let kind = file_system.split(' ').next().unwrap();
        // Of the kernel's own there is nothing to fill, nor of single devices such as `/dev/null`.
        let is_kernels = ["proc", "devpts", "mqueue", "sysfs", "cgroup", "cgroup2"].contains(&kind);
        let is_device = ["null", "zero", "full", "random", "urandom", "tty"]
            .iter()
            .any(|device| place == format!("/dev/{device}"));
        // Root's alone, and nobody here can become root.
        let is_roots = place.starts_with("/sys/");
        if !is_kernels && !is_device && !is_roots && options.split(',').any(|option| option == "rw") {
            assert!(kind == "tmpfs" && file_system.contains("size="), "{place} is no bounded memory: {line}");
            writable.insert(place.to_owned());
        }
    }
    say(&format!("writable | {writable:?}"));
    assert!(writable.contains("/tmp") && writable.contains("/dev/shm"), "{writable:?}");
}

#[tokio::test]
async fn the_kernel_holds_a_local_browser() {
    check(BackendChoice::Local).await;
}

#[tokio::test]
async fn the_kernel_holds_a_browser_in_docker() {
    check(BackendChoice::Docker).await;
}
