//! The closed loop: every connection sends its next request when the answer to the last one is there.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::connection::Connection;
use crate::site::Site;

/// What is sent.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) connections: u32,
    /// On each connection.
    pub(crate) requests: u32,
    pub(crate) path: String,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Status and duration of every request, in no particular order.
    pub(crate) answers: Vec<(u16, Duration)>,
    /// From the first request to the last answer, handshakes left out.
    pub(crate) took: Duration,
}

/// Opens all connections, then runs the plan on them at once.
pub(crate) fn run(site: &Site, plan: &Plan) -> anyhow::Result<Measured> {
    let request =
        format!("GET {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n", plan.path, site.host, site.token);
    let mut open = Vec::new();
    for _ in 0..plan.connections {
        let mut connection = Connection::open(site)?;
        // The handshake happens with the first request, which is not measured.
        connection.send(request.as_bytes())?;
        open.push(connection);
    }
    let start = Instant::now();
    let answers = thread::scope(|scope| {
        let request = request.as_bytes();
        let threads: Vec<_> = open
            .iter_mut()
            .map(|connection| scope.spawn(move || repeat(plan.requests, || connection.send(request))))
            .collect();
        let mut answers = Vec::new();
        for thread in threads {
            answers.extend(thread.join().map_err(|_| anyhow!("a connection's thread panicked"))??);
        }
        anyhow::Ok(answers)
    })?;
    Ok(Measured { answers, took: start.elapsed() })
}

fn repeat(times: u32, mut send: impl FnMut() -> anyhow::Result<u16>) -> anyhow::Result<Vec<(u16, Duration)>> {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            Ok((send()?, start.elapsed()))
        })
        .collect()
}
