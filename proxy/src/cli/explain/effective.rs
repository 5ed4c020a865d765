//! `postern explain effective` and `postern explain coverage`: what the manifests of a route come to together.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use postern_config::values::Time;
use postern_config::written::Place;
use postern_config::{Direction, EffectiveValue, Guard, Route, effective};
use serde_json::{Map, Value, json};

use super::{MISCONFIGURED, Output, load, print};
use crate::clock::{Clock, SystemClock};
use crate::explain::Set;

#[derive(Debug, Args)]
pub(in crate::cli) struct EffectiveArgs {
    /// The bootstrap file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The route.
    #[arg(long)]
    route: String,
    #[arg(long, value_enum, default_value = "yaml")]
    output: Output,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CoverageArgs {
    /// The bootstrap file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One route. Default: all.
    #[arg(long)]
    route: Option<String>,
    #[arg(long, value_enum, default_value = "yaml")]
    output: Output,
}

pub(super) fn effective_policy(args: &EffectiveArgs) -> ExitCode {
    let now_ms = SystemClock.unix_ms();
    let set = match load(&args.config, now_ms) {
        Ok(set) => set,
        Err(code) => return code,
    };
    let Some(fields) = effective(&set.opened, &args.route, now_ms.div_euclid(1000)) else {
        return no_route(&set, &args.route);
    };
    let fields = fields.iter().flat_map(|field| {
        field.values.iter().map(|value| {
            let mut told = Map::new();
            told.insert("kind".to_owned(), json!(field.kind.as_str()));
            told.insert("field".to_owned(), json!(field.field));
            told.insert("merge".to_owned(), json!(field.nature.as_str()));
            told.extend(one(value));
            Value::Object(told)
        })
    });
    print(&json!({"route": args.route, "fields": fields.collect::<Vec<_>>()}), args.output);
    ExitCode::SUCCESS
}

fn one(value: &EffectiveValue) -> Map<String, Value> {
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let mut told = Map::new();
    told.insert("value".to_owned(), parsed(&value.value));
    let from: Vec<String> = value.from.iter().map(place).collect();
    told.insert("from".to_owned(), if from.is_empty() { json!("default") } else { json!(from) });
    if !value.beaten.is_empty() {
        let beaten = value.beaten.iter().map(|(at, value)| json!({"value": parsed(value), "from": place(at)}));
        told.insert("beat".to_owned(), beaten.collect());
    }
    told
}

/// `APIAccessPolicy/default/chat/spec/maxBodySize (manifests/chat.yaml:9)`.
fn place(place: &Place) -> String {
    format!("{}{} ({}:{})", place.manifest, place.pointer, place.position.file, place.position.line)
}

pub(super) fn coverage(args: &CoverageArgs) -> ExitCode {
    let now_ms = SystemClock.unix_ms();
    let set = match load(&args.config, now_ms) {
        Ok(set) => set,
        Err(code) => return code,
    };
    let routes = &set.snapshot().routes;
    if let Some(name) = &args.route
        && !routes.iter().any(|route| route.name == *name)
    {
        return no_route(&set, name);
    }
    let wanted = routes.iter().filter(|route| args.route.as_ref().is_none_or(|name| route.name == *name));
    let told: Map<String, Value> = wanted.map(|route| (route.name.clone(), of_route(&set, route, now_ms))).collect();
    print(&Value::Object(told), args.output);
    ExitCode::SUCCESS
}

fn of_route(set: &Set, route: &Route, now_ms: i64) -> Value {
    let exceptions = route.policy.waived.iter().map(|waived| {
        json!({"name": &*waived.exception, "allow": waived.what.code().to_string(),
            "until": Time(waived.until).to_string(), "ended": waived.has_ended(now_ms)})
    });
    let trials =
        route.on_trial().map(|(manifest, from)| json!({"manifest": manifest, "until": Time(from).to_string()}));
    json!({
        "dialect": route.dialect.as_str(),
        "manifests": set.ids(route),
        "guards": route.policy.coverage.guards.iter().map(guard).collect::<Vec<_>>(),
        "exceptions": exceptions.collect::<Vec<_>>(),
        "onTrial": trials.collect::<Vec<_>>(),
    })
}

fn guard(guard: &Guard) -> Value {
    let parts: Vec<&str> = guard.parts.iter().map(|part| part.as_str()).collect();
    let direction = match guard.direction {
        Direction::Request => "Request",
        Direction::Response => "Response",
    };
    json!({"guard": guard.name, "by": guard.owner, "direction": direction, "parts": parts,
        "buffered": guard.buffered, "streamed": guard.streamed})
}

fn no_route(set: &Set, name: &str) -> ExitCode {
    let names: Vec<&str> = set.snapshot().routes.iter().map(|route| route.name.as_str()).collect();
    eprintln!("postern: there is no route `{name}`; the routes are {}", names.join(", "));
    ExitCode::from(MISCONFIGURED)
}
