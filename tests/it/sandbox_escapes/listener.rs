//! What listens on this machine while a page tries to reach it, and counts who comes.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// A listener on loopback, one on all addresses, and one for datagrams on all addresses.
pub(super) struct Listener {
    loopback: SocketAddr,
    everywhere: u16,
    datagrams: u16,
    came: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Listener {
    /// Opens it and knocks once at each door, so that a silence later means something.
    pub(super) async fn open() -> Self {
        let came = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let loopback = accept("127.0.0.1:0", &came, &mut tasks).await;
        let everywhere = accept("[::]:0", &came, &mut tasks).await.port();
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let datagrams = socket.local_addr().unwrap().port();
        let counted = Arc::clone(&came);
        tasks.spawn(async move {
            while socket.recv_from(&mut [0; 2048]).await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let listener = Self { loopback, everywhere, datagrams, came, _tasks: tasks };
        listener.knock().await;
        listener
    }

    async fn knock(&self) {
        for door in self.tcp() {
            TcpStream::connect(&door).await.unwrap_or_else(|error| panic!("{door}: {error}"));
        }
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for door in self.udp() {
            socket.send_to(b"knock", &door).await.unwrap();
        }
        let doors = self.tcp().len() + self.udp().len();
        crate::support::wait::until("every door to answer", || async { self.came() == doors }).await;
        self.came.store(0, Ordering::SeqCst);
    }

    /// How many came since.
    pub(super) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// Where it can be reached with TCP.
    pub(super) fn tcp(&self) -> Vec<String> {
        let mut doors = vec![self.loopback.to_string(), format!("[::1]:{}", self.everywhere)];
        doors.extend(own_addresses().into_iter().map(|address| format!("{address}:{}", self.everywhere)));
        doors
    }

    /// Where it can be reached with UDP.
    pub(super) fn udp(&self) -> Vec<String> {
        own_addresses().into_iter().map(|address| format!("{address}:{}", self.datagrams)).collect()
    }

    /// The port that is open on all addresses.
    pub(super) fn port(&self) -> u16 {
        self.everywhere
    }
}

async fn accept(address: &str, came: &Arc<AtomicUsize>, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let came = Arc::clone(came);
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            came.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    address
}

/// The addresses of this machine, loopback among them, as the kernel's table of local routes lists them.
fn own_addresses() -> Vec<IpAddr> {
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap();
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    let mut last: Option<IpAddr> = None;
    for line in table.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse().ok();
        } else if line.contains("/32 host LOCAL") {
            addresses.extend(last.take());
        }
    }
    addresses.sort();
    addresses.dedup();
    assert!(addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{table}");
    // Loopback, the bridge of Docker and the way out are among the first; each costs a finding for each attempt.
    addresses.truncate(4);
    addresses
}
