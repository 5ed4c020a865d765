//! The side of the new process: find the one that runs, and take over what it holds.

use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::sync::watch;
use tracing::{info, warn};

use super::frame::{FrameError, Tag, expect, expect_json, read, write, write_json};
use super::{Hello, MAX_SOCKETS, Offer, Offered, PROTOCOL, READY, Released, WORD, path};
use crate::listeners::Inherited;
use crate::shared::Shared;

/// Why nothing was taken over. The old process runs on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("`{}` cannot be reached: {source}", path.display())]
    Connect { path: PathBuf, source: std::io::Error },
    #[error("the running process belongs to user {0}")]
    Foreign(u32),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the running process speaks version {0} of the protocol, and we speak {PROTOCOL}: stop it and start again")]
    Protocol(u32),
    #[error("the running process handed over something that is not the socket it named: {0}")]
    Socket(String),
    #[error("the handing over did not finish: {0}")]
    Panic(String),
}

/// The process that runs, and is about to leave.
#[derive(Debug)]
pub(crate) struct Predecessor {
    stream: UnixStream,
    pid: i32,
}

impl Predecessor {
    /// The process that runs with `state_dir`, with its sockets. `None` where there is none.
    ///
    /// # Errors
    /// [`UpgradeError`]
    pub(crate) async fn find(state_dir: &Path) -> Result<Option<(Self, Inherited)>, UpgradeError> {
        let path = path(state_dir);
        let found = blocking(move || {
            let stream = match UnixStream::connect(&path) {
                Ok(stream) => stream,
                Err(error) if is_nobody(&error) => return Ok(None),
                Err(source) => return Err(UpgradeError::Connect { path, source }),
            };
            Self::meet(stream).map(Some)
        });
        let Some((this, offer, descriptors)) = found.await? else { return Ok(None) };
        let failed = |error: std::io::Error| UpgradeError::Socket(error.to_string());
        let mut inherited = Inherited::default();
        let mut descriptors = descriptors.into_iter();
        for (Offered { listener, plain, place }, descriptor) in offer.sockets.into_iter().zip(&mut descriptors) {
            inherited.socket(listener, plain, place, descriptor).map_err(failed)?;
        }
        if let Some((health, descriptor)) = offer.health.zip(descriptors.next()) {
            inherited.health(health.bind, descriptor).map_err(failed)?;
        }
        Ok(Some((this, inherited)))
    }

    fn meet(mut stream: UnixStream) -> Result<(Self, Offer, Vec<OwnedFd>), UpgradeError> {
        let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|error| FrameError::Io(error.into()))?;
        let (we, user) = (rustix::process::geteuid(), peer.uid);
        if user != we && !user.is_root() {
            return Err(UpgradeError::Foreign(user.as_raw()));
        }
        let pid = peer.pid.as_raw_nonzero().get();
        stream.set_read_timeout(Some(WORD)).map_err(FrameError::Io)?;
        stream.set_write_timeout(Some(WORD)).map_err(FrameError::Io)?;
        let hello = Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() };
        write_json(&mut stream, Tag::Hello, &hello)?;
        let offer: Offer = expect_json(&mut stream, Tag::Offer)?;
        if offer.protocol != PROTOCOL {
            return Err(UpgradeError::Protocol(offer.protocol));
        }
        if offer.sockets.len() > MAX_SOCKETS {
            return Err(FrameError::TooLong(offer.sockets.len()).into());
        }
        let count = offer.sockets.len().saturating_add(usize::from(offer.health.is_some()));
        let descriptors = (0..count).map(|_| receive(&stream)).collect::<Result<_, _>>()?;
        Ok((Self { stream, pid }, offer, descriptors))
    }

    /// Says that all is ready, and waits until the old process has let go of the log. It accepts nothing from then on.
    ///
    /// # Errors
    /// [`UpgradeError`]
    pub(crate) async fn release(mut self) -> Result<(Self, Released), UpgradeError> {
        blocking(move || {
            // It may have to wait for its disk.
            self.stream.set_read_timeout(Some(2 * READY)).map_err(FrameError::Io)?;
            write(&mut self.stream, Tag::Ready, &[])?;
            let released = expect_json(&mut self.stream, Tag::Released)?;
            Ok((self, released))
        })
        .await
    }

    /// Says that the log is open here, and waits until the old process has agreed: from then on this one accepts.
    ///
    /// # Errors
    /// [`UpgradeError`]; the old process serves on.
    pub(crate) async fn agree(mut self) -> Result<Self, UpgradeError> {
        blocking(move || {
            self.stream.set_read_timeout(Some(READY)).map_err(FrameError::Io)?;
            write(&mut self.stream, Tag::Taken, &[])?;
            expect(&mut self.stream, Tag::Given)?;
            self.stream.set_read_timeout(None).map_err(FrameError::Io)?;
            Ok(self)
        })
        .await
    }

    /// Writes what the old process still has to record, until it ends. What comes back turns true then.
    pub(crate) fn outlive(mut self, shared: &Arc<Shared>) -> watch::Receiver<bool> {
        let (ended, end) = watch::channel(false);
        let (shared, runtime) = (shared.clone(), tokio::runtime::Handle::current());
        info!(predecessor = self.pid, "took over from the process before");
        let work = move || {
            if let Err(error) = self.write_records(&shared, &runtime) {
                warn!("error.type" = "upgrade", %error, "the process before did not leave in order");
            }
            // It hears before anybody here goes on.
            drop(self);
            ended.send_replace(true);
        };
        if let Err(error) = std::thread::Builder::new().name("predecessor".to_owned()).spawn(work) {
            warn!("error.type" = "upgrade", %error, "the process before has to write its own records");
        }
        end
    }

    /// Each `Sync` is answered once all that came before it is on disk.
    fn write_records(&mut self, shared: &Shared, runtime: &tokio::runtime::Handle) -> Result<(), FrameError> {
        let mut last = None;
        let mut first = [0; 1];
        loop {
            // An end between two frames is the end; inside of one it is not.
            let frame = match self.stream.read(&mut first)? {
                0 => return Ok(()),
                _ => read(&mut first.as_slice().chain(&mut self.stream))?,
            };
            match frame.tag {
                Tag::Record => last = Some(shared.audit.submit_line(&frame.payload)?),
                Tag::Sync => {
                    if let Some(receipt) = last.take() {
                        runtime.block_on(shared.audit.settled(receipt))?;
                    }
                    write(&mut self.stream, Tag::Synced, &[])?;
                }
                _ => return Err(FrameError::Unexpected),
            }
        }
    }
}

/// One descriptor, with the one byte that carries it.
fn receive(stream: &UnixStream) -> Result<OwnedFd, UpgradeError> {
    let mut byte = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC);
    got.map_err(|error| FrameError::Io(error.into()))?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let found = descriptors.next().and_then(|mut rights| rights.next());
    found.ok_or_else(|| FrameError::Io(std::io::ErrorKind::UnexpectedEof.into()).into())
}

/// No file, or one that nobody listens on.
fn is_nobody(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UpgradeError> + Send + 'static,
) -> Result<T, UpgradeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(UpgradeError::Panic(panic.to_string())))
}
