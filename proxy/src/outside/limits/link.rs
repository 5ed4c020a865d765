//! One connection to the store: commands go out as they come, replies come back in their order. It is made again for as
//! long as this lives; while there is none, nobody waits for one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::resp::{self, Reply};
use super::target::Target;

/// Commands that wait to go out; a further one fails at once.
const QUEUE: usize = 1024;
/// Bytes that go out in one piece.
const PIECE: usize = 64 * 1024;
/// Time for a connection, with its handshakes.
const CONNECT: Duration = Duration::from_secs(2);
/// Time for a reply before the connection is given up. Who asked has gone long before.
const STALL: Duration = Duration::from_secs(1);
/// How often a connection that is not used is tried.
const PING: Duration = Duration::from_secs(1);
/// Pauses between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What a link knows about the store it is connected to: one life of the store's process (`run_id`). Nothing while away.
pub(super) type Run = Option<Arc<str>>;

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Link {
    calls: mpsc::Sender<Call>,
    run: watch::Receiver<Run>,
    task: JoinHandle<()>,
}

/// A command, without the run that the store is asked as: that is known where it is written.
#[derive(Debug)]
struct Call {
    parts: Vec<Vec<u8>>,
    /// Which of the parts is to be the run.
    run_at: Option<usize>,
    answer: oneshot::Sender<Reply>,
}

/// The store is not there, or does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Away(pub(super) String);

impl Link {
    /// Connects, and keeps connected. `say` hears why a connection could not be made or has ended.
    pub(super) fn keep(target: Arc<Target>, say: impl Fn(&str) + Send + 'static) -> Self {
        let (calls, asked) = mpsc::channel(QUEUE);
        let (tell, run) = watch::channel(None);
        let task = tokio::spawn(keep(target, asked, tell, say));
        Self { calls, run, task }
    }

    pub(super) fn is_up(&self) -> bool {
        self.run.borrow().is_some()
    }

    /// What changes with every connection that comes and goes.
    pub(super) fn watch(&self) -> watch::Receiver<Run> {
        self.run.clone()
    }

    /// Asks the store. Dropping the future does not take the command back.
    pub(super) async fn call(&self, parts: Vec<Vec<u8>>, run_at: Option<usize>) -> Result<Reply, Away> {
        if !self.is_up() {
            return Err(Away("there is no connection to the store".to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        let call = Call { parts, run_at, answer };
        self.calls.try_send(call).map_err(|_| Away("too much waits for the store".to_owned()))?;
        answered.await.map_err(|_| Away("the connection to the store broke off".to_owned()))
    }
}

impl Link {
    /// Tells the store something, and does not hear what it says. Where that cannot be told now, it never is.
    pub(super) fn tell(&self, parts: Vec<Vec<u8>>) {
        let (answer, _) = oneshot::channel();
        if self.is_up() {
            let _ = self.calls.try_send(Call { parts, run_at: None, answer });
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(target: Arc<Target>, mut calls: mpsc::Receiver<Call>, tell: watch::Sender<Run>, say: impl Fn(&str)) {
    let mut pause = FIRST_PAUSE;
    let mut said = String::new();
    loop {
        let why = match tokio::time::timeout(CONNECT, target.connect()).await {
            Ok(Ok((stream, run))) => {
                pause = FIRST_PAUSE;
                said.clear();
                tell.send_replace(Some(run.clone()));
                let ended = talk(stream, &run, &mut calls).await;
                tell.send_replace(None);
                match ended {
                    Ok(()) => return,
                    Err(error) => format!("the connection broke off: {error}"),
                }
            }
            Ok(Err(Away(why))) => why,
            Err(_) => "no connection in time".to_owned(),
        };
        // Once for each reason, and not with every attempt.
        if why != said {
            say(&why);
            said = why;
        }
        // Whoever asked meanwhile is told by being dropped.
        while calls.try_recv().is_ok() {}
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Moves commands and replies until the connection ends; `Ok` once nobody is left to ask.
async fn talk<S: AsyncRead + AsyncWrite>(stream: S, run: &str, calls: &mut mpsc::Receiver<Call>) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    let (pend, mut pending) = mpsc::channel::<Option<oneshot::Sender<Reply>>>(QUEUE);
    let write = async {
        let mut out = BytesMut::new();
        loop {
            out.clear();
            match tokio::time::timeout(PING, calls.recv()).await {
                Ok(Some(call)) => {
                    let mut next = Some(call);
                    // What has come by now goes out together.
                    while let Some(call) = next {
                        let answer = write_call(&mut out, call, run);
                        pend.send(Some(answer)).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
                        next = if out.len() < PIECE { calls.try_recv().ok() } else { None };
                    }
                }
                Ok(None) => return Ok::<(), io::Error>(()),
                Err(_) => {
                    resp::command(&mut out, &[b"PING"]);
                    pend.send(None).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
                }
            }
            let sent = async {
                writer.write_all(&out).await?;
                writer.flush().await
            };
            tokio::time::timeout(STALL, sent).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
    };
    let read = async {
        while let Some(answer) = pending.recv().await {
            let reply = tokio::time::timeout(STALL, resp::read(&mut reader)).await;
            let reply = reply.map_err(|_| io::ErrorKind::TimedOut)??;
            // A primary that follows another now would answer so for ever. Where the new one is may be known by now.
            let follows = matches!(&reply, Reply::Error(error) if error.starts_with("READONLY"));
            if let Some(answer) = answer {
                // Whoever asked may have gone.
                let _ = answer.send(reply);
            }
            if follows {
                return Err(io::Error::other("the store follows another now"));
            }
        }
        Ok::<(), io::Error>(())
    };
    tokio::select! {
        ended = write => ended,
        ended = read => ended,
    }
}

fn write_call(out: &mut BytesMut, call: Call, run: &str) -> oneshot::Sender<Reply> {
    let parts = call.parts.iter().enumerate();
    let parts: Vec<&[u8]> =
        parts.map(|(index, part)| if call.run_at == Some(index) { run.as_bytes() } else { part.as_slice() }).collect();
    resp::command(out, &parts);
    call.answer
}
