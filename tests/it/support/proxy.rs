//! A TCP proxy that breaks links the way networks do: slowly, silently, or at once.
//!
//! It knows nothing of what it carries. A reply that is lost takes its connection with it, as it does in TCP:
//! the server has done what it was asked, and the client never hears of it.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Bytes that are carried in one go.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that a trickle carries in one go.
const DROP_BYTES: usize = 64;

/// What a link does to what it carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// Carries everything at once.
    Pass,
    /// Holds each piece back for a time between the two.
    Delay(Duration, Duration),
    /// Carries 64 bytes at a time, with this pause between.
    Trickle(Duration),
    /// Carries nothing for now; what waits is carried afterwards, in order.
    Stall,
    /// Carries nothing, and connections that were there in this time never carry anything again: nobody is told.
    Blackhole,
    /// Ends every connection at once, new ones as well.
    Refuse,
    /// Each piece that the server sends is lost with this probability, and its connection with it: either cut, or
    /// silent from then on.
    LoseReplies(f64),
}

/// A proxy in front of one server; it ends with the value.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    modes: watch::Sender<Mode>,
    dice: Mutex<ChaCha8Rng>,
    /// Replies that were lost.
    lost: AtomicUsize,
    /// By the port from which the server sees the connection.
    links: Mutex<HashMap<u16, Link>>,
    tasks: TaskTracker,
    end: CancellationToken,
}

/// How one connection is told of its end.
#[derive(Clone)]
struct Link {
    cut: CancellationToken,
    deaf: CancellationToken,
}

/// Why a connection carries no more.
enum End {
    /// One side has closed it.
    Closed,
    /// It is reset.
    Cut,
}

impl Proxy {
    /// Starts a proxy on a free port of loopback. The seed decides what chance decides.
    pub(crate) async fn start(server: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            modes: watch::channel(Mode::Pass).0,
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            lost: AtomicUsize::new(0),
            links: Mutex::default(),
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
        });
        shared.tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared })
    }

    /// Where to connect instead of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this from now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.shared.modes.send_replace(mode);
        for link in self.shared.links().values() {
            match mode {
                Mode::Refuse => link.cut.cancel(),
                Mode::Blackhole => link.deaf.cancel(),
                _ => {}
            }
        }
    }

    /// Resets every connection; new ones are carried.
    pub(crate) fn cut(&self) {
        for link in self.shared.links().values() {
            link.cut.cancel();
        }
    }

    /// Silences the connection that the server sees coming from this port; nobody is told. `false` when there is
    /// none.
    pub(crate) fn silence(&self, port: u16) -> bool {
        self.shared.links().get(&port).map(|link| link.deaf.cancel()).is_some()
    }

    /// How many replies were lost by chance.
    pub(crate) fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.shared.links().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.end.cancel();
        self.cut();
    }
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, HashMap<u16, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number in 0..1.
    fn chance(&self) -> f64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Some(Ok((client, _))) = shared.end.run_until_cancelled(listener.accept()).await {
        let mode = *shared.modes.borrow();
        if mode == Mode::Refuse {
            // Closed with an RST, as by a host that has no such port any more.
            let _ = client.set_zero_linger();
            continue;
        }
        shared.tasks.spawn(carry(client, Arc::clone(&shared)));
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(shared.server).await else {
        // The server is away: the client is told as the server's host would tell it.
        let _ = client.set_zero_linger();
        return;
    };
    let Ok(port) = server.local_addr().map(|address| address.port()) else { return };
    let link = Link { cut: CancellationToken::new(), deaf: CancellationToken::new() };
    shared.links().insert(port, link.clone());
    match *shared.modes.borrow() {
        Mode::Blackhole => link.deaf.cancel(),
        Mode::Refuse => link.cut.cancel(),
        _ => {}
    }
    // Redis and its clients write small pieces that wait for one another.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let end = tokio::select! {
        end = pump(&shared, &link, &mut from_client, &mut to_server, false) => end,
        end = pump(&shared, &link, &mut from_server, &mut to_client, true) => end,
        () = link.cut.cancelled() => End::Cut,
    };
    if matches!(end, End::Cut) {
        let _ = (from_client.as_ref().set_zero_linger(), from_server.as_ref().set_zero_linger());
    }
    shared.links().remove(&port);
}

/// Carries one direction until it ends.
async fn pump(
    shared: &Shared,
    link: &Link,
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    is_reply: bool,
) -> End {
    let mut modes = shared.modes.subscribe();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) => return End::Closed,
            Ok(count) => count,
            Err(_) => return End::Cut,
        };
        if modes.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
            return End::Cut;
        }
        if link.deaf.is_cancelled() {
            continue;
        }
        let mode = *modes.borrow();
        let mut piece = CHUNK_BYTES;
        match mode {
            Mode::Delay(least, most) => {
                sleep(least + most.saturating_sub(least).mul_f64(shared.chance())).await;
            }
            Mode::Trickle(_) => piece = DROP_BYTES,
            Mode::LoseReplies(share) if is_reply && shared.chance() < share => {
                shared.lost.fetch_add(1, Ordering::Relaxed);
                if shared.chance() < 0.5 {
                    return End::Cut;
                }
                link.deaf.cancel();
                continue;
            }
            _ => {}
        }
        for part in buffer[..count].chunks(piece) {
            if let Mode::Trickle(pause) = mode {
                sleep(pause).await;
            }
            if to.write_all(part).await.is_err() {
                return End::Cut;
            }
        }
    }
}
