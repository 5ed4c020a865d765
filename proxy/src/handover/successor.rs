//! The side of the process that runs: wait for one that follows, hand everything over, and leave.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::frame::{FrameError, Tag, expect, expect_json, write_json};
use super::{Hello, Offer, OfferedHealth, PROTOCOL, READY, Released, WORD, path};
use crate::audit::{Successor, Word};
use crate::listen::{SocketFile, bind_private};
use crate::listeners::Offering;
use crate::shared::Shared;

/// The socket on which a successor is awaited.
type Door = (UnixListener, SocketFile);

/// Waits for successors until `stop` turns true. Once one has taken over `given` does, and another one is awaited only if
/// that one ends before this process does.
pub(crate) async fn run(shared: Arc<Shared>, given: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = wait(&shared, &given) => {}
    }
}

async fn wait(shared: &Arc<Shared>, given: &watch::Sender<bool>) {
    let state_dir = shared.runtime.load().snapshot.state_dir.clone();
    let mut door = open(&state_dir).await;
    while let Some((listener, _)) = &door {
        let accepted = listener.accept().await;
        let stream = match accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream.into_std()?))) {
            Ok((user, stream)) if user == 0 || user == rustix::process::geteuid().as_raw() => stream,
            Ok((user, _)) => {
                warn!("error.type" = "upgrade", user, "a process of another user wants to take over");
                continue;
            }
            Err(error) => {
                warn!("error.type" = "upgrade", %error, "a successor could not be let in");
                continue;
            }
        };
        match hand_over(shared, stream, &mut door).await {
            Ok(mut words) => {
                info!("another process took over, draining");
                given.send_replace(true);
                // Whoever starts after one that is no more finds the log here, and can have it.
                if words.recv().await.is_none() {
                    return;
                }
            }
            Err(error) => {
                warn!("error.type" = "upgrade", error, "the process that wanted to take over did not; serving on");
            }
        }
        if door.is_none() {
            door = open(&state_dir).await;
        }
    }
}

async fn open(state_dir: &Path) -> Option<Door> {
    let path = path(state_dir);
    let opened = bind_private(&path).await;
    opened
        .inspect_err(|error| {
            let path = path.display();
            warn!("error.type" = "upgrade", %error, %path, "no other process will be able to take over");
        })
        .ok()
}

/// What comes back tells of the process that took over.
async fn hand_over(
    shared: &Arc<Shared>,
    stream: UnixStream,
    door: &mut Option<Door>,
) -> Result<mpsc::Receiver<Word>, String> {
    // Nothing is reloaded meanwhile: what was offered is what is handed over.
    let _loading = shared.last_load.lock().await;
    let offering = shared.listeners.offer();
    let stream = offer(stream, offering).await?;
    // Who connects would wait for a log that cannot be written.
    shared.writable()?;
    let paused = shared.listeners.pause().await;
    // The one that follows awaits its own successor under this name.
    *door = None;
    let (told, mut words) = mpsc::channel(2);
    let released = Released { connections: shared.last_connection() };
    shared.audit.hand_over(Successor { stream, released, told });
    let first = match tokio::time::timeout(READY, words.recv()).await {
        Err(_) if shared.audit.withdraw() => Some(Word::Refused("the log could not be ended in time".to_owned())),
        Err(_) => words.recv().await,
        Ok(word) => word,
    };
    match first {
        Some(Word::Began) => {
            paused.give(&shared.listeners);
            Ok(words)
        }
        Some(Word::Refused(why)) => {
            shared.listeners.resume(shared, paused);
            Err(why)
        }
        Some(Word::Back) | None => {
            shared.listeners.resume(shared, paused);
            Err("the log was closed meanwhile".to_owned())
        }
    }
}

/// Offers the sockets and waits until the other side has what it needs.
async fn offer(mut stream: UnixStream, offering: Offering) -> Result<UnixStream, String> {
    let work = move || -> Result<UnixStream, FrameError> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(WORD))?;
        stream.set_write_timeout(Some(WORD))?;
        let hello: Hello = expect_json(&mut stream, Tag::Hello)?;
        info!(version = hello.version, "another process wants to take over");
        if hello.protocol != PROTOCOL {
            write_json(&mut stream, Tag::Offer, &Offer { protocol: PROTOCOL, sockets: Vec::new(), health: None })?;
            return Err(FrameError::Unexpected);
        }
        let sockets = offering.sockets.iter().map(|(offered, _)| offered.clone()).collect();
        let health = offering.health.as_ref().map(|(bind, _)| OfferedHealth { bind: *bind });
        write_json(&mut stream, Tag::Offer, &Offer { protocol: PROTOCOL, sockets, health })?;
        for (_, socket) in &offering.sockets {
            send(&stream, socket.as_fd())?;
        }
        if let Some((_, socket)) = &offering.health {
            send(&stream, socket.as_fd())?;
        }
        stream.set_read_timeout(Some(READY))?;
        expect(&mut stream, Tag::Ready)?;
        Ok(stream)
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|panic| panic.to_string())?;
    done.map_err(|error| error.to_string())
}

/// One descriptor, with a byte to carry it.
fn send(stream: &UnixStream, descriptor: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(std::io::Error::other("no room for a descriptor"));
    }
    sendmsg(stream, &[IoSlice::new(b"d")], &mut control, SendFlags::empty())?;
    Ok(())
}
