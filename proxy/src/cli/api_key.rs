//! `postern api-key new`: a key for a caller, and the line that tells a proxy of it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use postern_config::values::Time;
use postern_filters::token::MadeKey;

use super::{Format, MISCONFIGURED, print_causes};
use crate::clock::{Clock, SystemClock};

#[derive(Debug, Args)]
pub(super) struct NewKey {
    /// `prefix` of the ApiKey provider.
    #[arg(long)]
    prefix: String,
    /// What the holder is called: the principal's id at the provider's issuer.
    #[arg(long)]
    id: String,
    /// The holder's tenant.
    #[arg(long)]
    tenant: String,
    /// A group the holder is in; may be given more than once.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// When the key ends, as `2027-01-31T00:00:00Z`.
    #[arg(long, value_name = "TIME")]
    until: String,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn new(asked: &NewKey) -> ExitCode {
    let now = SystemClock.unix_ms() / 1000;
    let Some(until) = Time::parse(&asked.until).map(|until| until.0).filter(|until| *until > now) else {
        eprintln!("postern: `--until {}` is not a moment to come; write it as 2027-01-31T00:00:00Z", asked.until);
        return ExitCode::from(MISCONFIGURED);
    };
    let made = match MadeKey::new(&asked.prefix, &asked.id, &asked.tenant, &asked.groups, until) {
        Ok(made) => made,
        Err(error) => {
            eprintln!("postern: no key was made: {error}");
            print_causes(&error);
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let written = match asked.format {
        Format::Text => text(&made),
        Format::Json => json(&made),
    };
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Written piece by piece: the key is put together with nothing that outlives it.
fn text(made: &MadeKey) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(b"The key, shown this once; nobody can get it back:\n\n  ")?;
    out.write_all(made.key.expose())?;
    out.write_all(b"\n\nThe line for the file that `keysFrom` names:\n\n")?;
    out.write_all(made.line.as_bytes())?;
    out.write_all(b"\n")
}

/// The characters of a key need no escapes in JSON.
fn json(made: &MadeKey) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(b"{\"key\":\"")?;
    out.write_all(made.key.expose())?;
    out.write_all(b"\",\"line\":")?;
    out.write_all(made.line.as_bytes())?;
    out.write_all(b"}\n")
}
