//! `postern explain`: why a request would pass or fail, without sending one.

mod effective;
mod recorded;
mod unused;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use postern_config::values::Time;
use postern_filters::audit::Decision;
use serde_json::Value;

use super::MISCONFIGURED;
use crate::clock::{Clock, SystemClock};
use crate::explain::{Besides, Caller, Misasked, Question, Set, Who, as_json, as_yaml};

/// What was asked about would be refused.
const REFUSED: u8 = 3;

#[derive(Debug, Subcommand)]
pub(super) enum Explain {
    /// Why a request would be permitted or refused, step by step, and the nearest rule that would have permitted it. Exit code 0:
    /// permitted; 3: refused; 2: a set that does not load, or a question that cannot be asked. With `--id`, why one was that was
    /// decided, and what the present set makes of it; 0: it is in the log; 2: it is not; 1: the log is not what was signed.
    Decision(Box<DecisionArgs>),
    /// The merged policy of a route: every value, the manifest and the place it came from, and the values it beat.
    Effective(effective::EffectiveArgs),
    /// Which permits requests of the audit log used, when last and for whom, and which none did. Exit code 1: a log is not what was
    /// signed.
    Unused(unused::UnusedArgs),
    /// What is attached to each route, which guard sees which part of a message, and the exceptions in force.
    Coverage(effective::CoverageArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Yaml,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    /// The bootstrap file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A decision that was made: the id in `postern-decision` of an answer, and in its record. What else is said completes what the
    /// record does not hold.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    log: recorded::LogArgs,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    caller: CallerArgs,
    #[arg(long, value_enum, default_value = "yaml")]
    output: Output,
}

/// The request. What is left out is chosen so that the route is reached.
#[derive(Debug, Args)]
struct RequestArgs {
    /// The route that the request is for. Without it, method, host and path choose one, as they do for a request.
    #[arg(long)]
    route: Option<String>,
    /// The listener it comes in by. Default: the first that the route takes requests from.
    #[arg(long)]
    listener: Option<String>,
    #[arg(long)]
    method: Option<String>,
    #[arg(long)]
    host: Option<String>,
    /// Path and query, as in the request line.
    #[arg(long)]
    path: Option<String>,
    /// One header; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The address it comes from. Default: 127.0.0.1
    #[arg(long)]
    source: Option<IpAddr>,
    /// The model that is asked for, on a route to a model. The rest of the body is made up.
    #[arg(long)]
    model: Option<String>,
    /// The answer is asked for as a stream.
    #[arg(long)]
    stream: bool,
    /// The body.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The moment at which it is asked, RFC 3339. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Who asks. A credential of the route's provider is assumed; nothing is proven.
#[derive(Debug, Args)]
struct CallerArgs {
    /// `user/NAME`, `agent/NAME`, `serviceaccount/NAME`, `component/NAME` or `anonymous`. A workload's name is its SPIFFE ID.
    #[arg(long = "as", value_name = "WHO")]
    who: Option<String>,
    /// The User an Agent acts for: `user/NAME`.
    #[arg(long, value_name = "WHO")]
    on_behalf_of: Option<String>,
    /// Which of the route's providers knows the caller, where there are several.
    #[arg(long)]
    provider: Option<String>,
    #[arg(long)]
    issuer: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// May be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// May be repeated.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// May be repeated; the same key twice has two values.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<String>,
    /// Authentication context class.
    #[arg(long)]
    acr: Option<String>,
    /// Authentication method; may be repeated.
    #[arg(long)]
    amr: Vec<String>,
    /// Seconds since the caller authenticated.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    age: i64,
    /// Whether the credential is bound to the client's certificate. Default: if its provider demands it.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    bound: Option<bool>,
}

pub(super) fn run(asked: &Explain) -> ExitCode {
    match asked {
        Explain::Decision(args) => decision(args),
        Explain::Effective(args) => effective::effective_policy(args),
        Explain::Coverage(args) => effective::coverage(args),
        Explain::Unused(args) => unused::run(args),
    }
}

fn decision(args: &DecisionArgs) -> ExitCode {
    let question = match question(&args.request, &args.caller, args.id.is_some()) {
        Ok(question) => question,
        Err(error) => return misasked(&error),
    };
    if let Some(id) = &args.id {
        let (names_caller, names_moment) = (args.caller.who.is_some(), args.request.at.is_some());
        let besides = Besides { question, names_caller, names_moment };
        return recorded::explain(&args.config, id, &args.log, &besides, args.output);
    }
    if args.log.log.is_some() || args.log.key.is_some() {
        return misasked(&Misasked("a log is read for a decision that was made: say which with `--id`".to_owned()));
    }
    let set = match load(&args.config, question.at_ms) {
        Ok(set) => set,
        Err(code) => return code,
    };
    match set.ask(&question) {
        Ok(answer) => {
            print(&as_json(&answer), args.output);
            if answer.decision == Decision::Allow { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
        }
        Err(error) => misasked(&error),
    }
}

pub(super) fn load(config: &Path, at_ms: i64) -> Result<Set, ExitCode> {
    Set::load(config, at_ms.div_euclid(1000)).map_err(|report| {
        eprint!("{report}");
        ExitCode::from(MISCONFIGURED)
    })
}

pub(super) fn print(document: &Value, output: Output) {
    match output {
        Output::Yaml => print!("{}", as_yaml(document)),
        Output::Json => println!("{document}"),
    }
}

fn misasked(error: &Misasked) -> ExitCode {
    eprintln!("postern: {error}");
    ExitCode::from(MISCONFIGURED)
}

fn question(request: &RequestArgs, caller: &CallerArgs, is_recorded: bool) -> Result<Question, Misasked> {
    let headers = request.headers.iter().map(|line| {
        let parts = line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        parts.ok_or_else(|| Misasked(format!("`{line}` is no header; write `NAME: VALUE`")))
    });
    let body = request.body.as_ref().map(|path| {
        std::fs::read(path).map(Into::into).map_err(|error| Misasked(format!("`{}`: {error}", path.display())))
    });
    let at_ms = match &request.at {
        None => SystemClock.unix_ms(),
        Some(text) => Time::parse(text)
            .map(|time| time.0.saturating_mul(1000))
            .ok_or_else(|| Misasked(format!("`{text}` is no time; write one such as `2027-01-31T00:00:00Z`")))?,
    };
    Ok(Question {
        route: request.route.clone(),
        listener: request.listener.clone(),
        method: request.method.clone(),
        host: request.host.clone(),
        target: request.path.clone(),
        headers: headers.collect::<Result<_, _>>()?,
        source: request.source,
        model: request.model.clone(),
        stream: request.stream,
        body: body.transpose()?,
        at_ms,
        caller: who(caller, is_recorded)?,
    })
}

/// The record of a decision says who asked.
fn who(caller: &CallerArgs, is_recorded: bool) -> Result<Caller, Misasked> {
    let nobody = is_recorded.then_some("anonymous");
    let Some(written) = caller.who.as_deref().or(nobody) else {
        return Err(Misasked("say who asks: `--as user/NAME`, or `--as anonymous`".to_owned()));
    };
    let mut tags: Vec<(String, Vec<String>)> = Vec::new();
    for tag in &caller.tags {
        let (key, value) =
            tag.split_once('=').ok_or_else(|| Misasked(format!("`{tag}` is no tag; write `KEY=VALUE`")))?;
        match tags.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value.to_owned()),
            None => tags.push((key.to_owned(), vec![value.to_owned()])),
        }
    }
    let on_behalf_of = caller.on_behalf_of.as_ref().map(|who| {
        let name = who.strip_prefix("user/").filter(|name| !name.is_empty()).map(str::to_owned);
        name.ok_or_else(|| Misasked(format!("an Agent acts for a User: write `user/NAME`, not `{who}`")))
    });
    Ok(Caller {
        who: written.parse::<Who>().map_err(Misasked)?,
        provider: caller.provider.clone(),
        issuer: caller.issuer.clone(),
        tenant: caller.tenant.clone(),
        groups: caller.groups.clone(),
        scopes: caller.scopes.clone(),
        tags,
        acr: caller.acr.clone(),
        amr: caller.amr.clone(),
        age: caller.age,
        bound: caller.bound,
        on_behalf_of: on_behalf_of.transpose()?,
    })
}
