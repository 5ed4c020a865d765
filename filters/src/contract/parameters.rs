//! Parameters in paths, queries, headers and cookies.

use std::collections::BTreeMap;

use http::header::{CONNECTION, COOKIE};
use postern_config::{ApiParameter, Operation, ParameterForm, ParameterPlace, Segment, TextKind, percent};

use super::text::{self, Pair};
use super::{Contract, Wrong};
use crate::json::{Limits, quote};
use crate::{Reason, RequestView};

impl Contract {
    pub(super) fn parameters(&self, operation: &Operation, req: &RequestView<'_>) -> Result<(), Wrong> {
        let query = text::pairs(req.query.unwrap_or_default(), "the query")?;
        if query.iter().any(|pair| !operation.parameters.iter().any(|parameter| takes(parameter, &pair.name))) {
            return Err(Wrong::new("a query parameter that the document does not have"));
        }
        operation.parameters.iter().try_for_each(|parameter| {
            let what = format!("{} parameter `{}`", parameter.place.as_str(), parameter.name);
            let json = read(parameter, operation, req, &query, &what)?;
            match json {
                Some(json) => self.json(parameter.schema, json.into(), Limits::default(), &what),
                None if parameter.required => Err(Wrong::new(format!("{what} is missing"))),
                None => Ok(()),
            }
        })
    }
}

/// Whether a name of the query is this parameter, or a field of it.
fn takes(parameter: &ApiParameter, name: &str) -> bool {
    parameter.place == ParameterPlace::Query
        && match &parameter.form {
            ParameterForm::Fields(fields) => {
                field(&parameter.name, name).is_some_and(|field| fields.contains_key(field))
            }
            _ => parameter.name == name,
        }
}

/// `field` of `name[field]`.
fn field<'n>(parameter: &str, name: &'n str) -> Option<&'n str> {
    name.strip_prefix(parameter)?.strip_prefix('[')?.strip_suffix(']')
}

/// JSON of a parameter, where the request has it.
fn read(
    parameter: &ApiParameter,
    operation: &Operation,
    req: &RequestView<'_>,
    query: &[Pair<'_>],
    what: &str,
) -> Result<Option<Vec<u8>>, Wrong> {
    match parameter.place {
        ParameterPlace::Path => {
            let segment = Segment::Parameter(parameter.name.clone());
            let index = operation.path.iter().position(|other| *other == segment);
            let raw = index.and_then(|index| req.path.split('/').nth(index + 1));
            text::value(&parameter.form, &raw.into_iter().collect::<Vec<_>>(), percent::decode, what)
        }
        ParameterPlace::Query => match &parameter.form {
            ParameterForm::Fields(fields) => object(parameter, fields, query, what),
            form => {
                let values: Vec<&str> =
                    query.iter().filter(|pair| pair.name == parameter.name).map(|pair| pair.raw).collect();
                text::value(form, &values, percent::decode_form, what)
            }
        },
        ParameterPlace::Header => {
            let mut values = Vec::new();
            for value in req.headers.get_all(parameter.name.as_str()) {
                let text = value.to_str().map_err(|_| Wrong::of(Reason::Malformed, format!("{what} is not ASCII")))?;
                values.push(text.trim_matches([' ', '\t']));
            }
            if !values.is_empty() && is_nominated(req, &parameter.name) {
                let detail = format!("{what} is named in `connection`, so that it would not arrive");
                return Err(Wrong::of(Reason::Malformed, detail));
            }
            match (&parameter.form, values.as_slice()) {
                (ParameterForm::Commas(_), [list]) => {
                    let trimmed: Vec<&str> = list.split(',').map(|item| item.trim_matches([' ', '\t'])).collect();
                    text::value(&parameter.form, &[&trimmed.join(",")], text::plain, what)
                }
                (form, values) => text::value(form, values, text::plain, what),
            }
        }
        ParameterPlace::Cookie => {
            let mut values = Vec::new();
            for value in req.headers.get_all(COOKIE) {
                let text = value.to_str().map_err(|_| Wrong::of(Reason::Malformed, "a cookie that is not ASCII"))?;
                let pairs = text.split(';').filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='));
                values.extend(pairs.filter(|(name, _)| *name == parameter.name).map(|(_, value)| value));
            }
            text::value(&parameter.form, &values, text::verbatim, what)
        }
    }
}

/// `name[field]=1&name[other]=2` as an object.
fn object(
    parameter: &ApiParameter,
    fields: &BTreeMap<String, TextKind>,
    query: &[Pair<'_>],
    what: &str,
) -> Result<Option<Vec<u8>>, Wrong> {
    let mut out = vec![b'{'];
    for (name, kind) in fields {
        let own = |pair: &&Pair<'_>| field(&parameter.name, &pair.name) == Some(name);
        let values: Vec<&str> = query.iter().filter(own).map(|pair| pair.raw).collect();
        let what = format!("field `{name}` of {what}");
        let Some(json) = text::value(&ParameterForm::One(*kind), &values, percent::decode_form, &what)? else {
            continue;
        };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(quote(name));
        out.push(b':');
        out.extend(json);
    }
    out.push(b'}');
    Ok((out.len() > 2).then_some(out))
}

/// Whether `Connection` names the header: then it ends here (RFC 9110 §7.6.1), and what was judged would not be sent.
fn is_nominated(req: &RequestView<'_>, name: &str) -> bool {
    let named = |value: &http::HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    req.headers.get_all(CONNECTION).iter().any(named)
}
