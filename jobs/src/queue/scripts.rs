//! The transitions, one Lua file each.

use redis::Script;

/// Lets scripts that free memory run on a Redis that is full; without them it could never drain.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";
/// What several scripts share, and which do.
const SHARED: [(&str, &[&str]); 2] = [
    (include_str!("lua/ending.lua"), &["cancel", "commit", "delivered", "discard", "place", "settle"]),
    (include_str!("lua/look.lua"), &["commit", "start"]),
];

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        /// All scripts, ready to be called by their hash.
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            /// `flags` says whether the server understands script flags, as Redis 7 does.
            pub(super) fn new(flags: bool) -> Self {
                Self { $($name: script(stringify!($name), include_str!(concat!("lua/", stringify!($name), ".lua")), flags),)* }
            }

            /// The one with this hash, by its name.
            pub(super) fn name(&self, hash: &str) -> Option<&'static str> {
                [$((&self.$name, stringify!($name))),*]
                    .into_iter()
                    .find_map(|(script, name)| (script.get_hash() == hash).then_some(name))
            }

            /// All of them, to load at once.
            pub(super) fn all(&self) -> Vec<&Script> {
                vec![$(&self.$name),*]
            }
        }
    };
}

scripts!(
    layout, start, own, apart, lapses, reclaim, renew, commit, delay, promote, due, bury, release, sweep,
    replay, edit, discard, take, delivered, put_back, forget, journal, restore, settle, place, recount,
    pause, resume, cancel,
);

/// Admission is what must stop when memory runs out; everything else moves or frees what is there.
fn script(name: &str, code: &str, flags: bool) -> Script {
    let mut text = String::new();
    if flags && name != "start" {
        text.push_str(ALLOW_OOM);
    }
    for (shared, _) in SHARED.iter().filter(|(_, sharing)| sharing.contains(&name)) {
        text.push_str(shared);
    }
    text.push_str(code);
    Script::new(&text)
}
