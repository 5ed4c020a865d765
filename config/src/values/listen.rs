//! Where a listener accepts.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::{malformed, names};
use crate::decode::{Cx, Fault, Scalar};

/// Longest path of a Unix socket, in bytes: the system's structure has room for 108 with the final zero.
pub(super) const MAX_SOCKET_PATH: usize = 107;

/// An address and a port, or the path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Scalar for ListenAddress {
    const NAME: &'static str = "Listen address";
    const DOC: &'static str = "An IP address with a port: `0.0.0.0:8443`, `[::1]:8443`; port 0 takes a free one. Or a Unix socket: \
        `unix:/run/postern/app.sock`; a relative path is relative to the bootstrap file.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(text, path, cx).map(Self::Unix);
        }
        text.parse().map(Self::Tcp).map_err(|error| {
            let help = format!("write `0.0.0.0:8443`, `[::1]:8443` or `unix:/path` ({error})");
            malformed(text, cx, "an address", help)
        })
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The path of a socket, as `path` of `text` says it.
pub(super) fn socket_path(text: &str, path: &str, cx: &Cx<'_>) -> Result<PathBuf, Fault> {
    let socket = names::path(path, cx)?;
    let named = !path.ends_with('/') && socket.file_name().is_some();
    let length = socket.as_os_str().as_bytes().len();
    if named && length <= MAX_SOCKET_PATH {
        return Ok(socket);
    }
    let help = format!("write `unix:/run/postern/app.sock`, whose whole path has at most {MAX_SOCKET_PATH} bytes");
    Err(malformed(text, cx, "a Unix socket", help))
}
