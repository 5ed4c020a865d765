//! RuntimeSecurityPolicy: what is put into prompts, and who may speak there besides.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::attach::{Attachments, Place};
use super::lists;
use crate::decode::At;
use crate::manifest::{self, Manifest, RuntimeSecurityPolicy, Spec, SystemText};
use crate::values::DocumentFile;
use crate::{Bootstrap, Code, Dialect, Digest, LayerPosition, PromptLayer, PromptRules, Redacted, Report, disk};

const PV_SHAPE: Code = Code(2);
const PV_CONFLICT: Code = Code(5);
const PV_CEILING: Code = Code(9);

const MAX_FILE: usize = 64 << 10;
/// Of one route: what every request of it carries.
const MAX_TEXT: usize = 256 << 10;

/// The texts of layers, by the file they were read from. What has a problem is not among them, and was reported.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: BTreeMap<PathBuf, Arc<Text>>,
}

#[derive(Debug)]
struct Text {
    digest: Digest,
    text: Redacted<String>,
}

impl Texts {
    /// Reads every text that an attached manifest names, once.
    pub(super) fn read(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Self {
        let mut texts = Self::default();
        let mut done: Vec<&PathBuf> = Vec::new();
        for manifest in attached.manifests() {
            let Spec::RuntimeSecurityPolicy(policy) = &manifest.spec else { continue };
            for layer in &policy.prompt_layers {
                let path = &layer.content_from.value.0;
                if !done.contains(&path) {
                    done.push(path);
                    let text = read(bootstrap, &layer.content_from, report).map(Arc::new);
                    texts.known.extend(text.map(|text| (path.clone(), text)));
                }
            }
        }
        texts
    }

    /// Of all files, in an order that does not depend on their names.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> = self.known.values().map(|text| text.digest).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn read(bootstrap: &Bootstrap, from: &At<DocumentFile>, report: &mut Report) -> Option<Text> {
    let path = &from.value.0;
    let name = disk::name_of(path, &bootstrap.base);
    let help = "write the text that models are to be given into it, in UTF-8";
    let (code, message, help) = match lists::read(path, MAX_FILE, false).map(String::from_utf8) {
        Ok(Ok(text)) if text.len() > MAX_FILE => {
            (PV_CEILING, format!("`{name}` is larger than 64Ki"), "divide it, and name several layers")
        }
        Ok(Ok(text)) if text.trim().is_empty() => (PV_SHAPE, format!("`{name}` is empty"), help),
        Ok(Ok(text)) => {
            let text = Redacted::new(text);
            let own = Redacted::new(text.expose().trim().to_owned());
            return Some(Text { digest: lists::digest_of(text.expose()), text: own });
        }
        Ok(Err(_)) => (PV_SHAPE, format!("`{name}` is not UTF-8"), help),
        Err(error) => (
            PV_SHAPE,
            format!("`{name}` cannot be read: {error}"),
            "check that it exists and that the proxy's user may read it",
        ),
    };
    from.error(report, code, message, help);
    None
}

type Policies<'m> = [(Place, &'m Manifest, &'m RuntimeSecurityPolicy)];

/// What the manifests of a route say together.
pub(super) fn rules(
    policies: &Policies<'_>,
    dialect: Dialect,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> PromptRules {
    if dialect == Dialect::Http {
        return PromptRules::default();
    }
    // What is more general stands further out, whatever the order of files.
    let mut policies: Vec<&(Place, &Manifest, &RuntimeSecurityPolicy)> = policies.iter().collect();
    policies.sort_by_key(|(place, manifest, _)| (*place, &manifest.id));
    let mut taken: Vec<&At<manifest::PromptLayer>> = Vec::new();
    let (mut first, mut last): (Vec<PromptLayer>, Vec<PromptLayer>) = (Vec::new(), Vec::new());
    let mut size = 0_usize;
    for (_, manifest, policy) in &policies {
        let mut behind = Vec::new();
        for layer in &policy.prompt_layers {
            if let Some(known) = taken.iter().find(|known| known.name.as_str() == layer.name.as_str()) {
                if !is_same(known, layer) {
                    let message = format!("another layer on the same route is named `{}`", layer.name.as_str());
                    layer.name.error(report, PV_CONFLICT, message, "rename one: records and coverage name layers");
                }
                continue;
            }
            taken.push(layer);
            let Some(made) = made(manifest, layer, attached) else { continue };
            size = size.saturating_add(made.text.expose().len());
            if size > MAX_TEXT {
                let message =
                    "the layers of a route are larger than 256Ki together, and every request would carry them";
                layer.content_from.error(report, PV_CEILING, message, "shorten them");
            }
            match made.position {
                LayerPosition::First => first.push(made),
                LayerPosition::Last => behind.push(made),
            }
        }
        behind.append(&mut last);
        last = behind;
    }
    first.append(&mut last);
    let says = |manifest: &&Manifest| manifest.id.to_string();
    let denies = policies.iter().find(|(_, _, policy)| denies_system(policy));
    let isolates = policies.iter().find(|(_, _, policy)| *policy.isolate);
    PromptRules {
        layers: first,
        system_denied_by: denies.map(|(_, manifest, _)| says(manifest)),
        isolated_by: isolates.map(|(_, manifest, _)| says(manifest)),
    }
}

/// Where layers are, the default is meant, so that no other manifest opens what it closes.
fn denies_system(policy: &RuntimeSecurityPolicy) -> bool {
    *policy.system_text == SystemText::Deny
        && (policy.system_text.written().is_some() || !policy.prompt_layers.is_empty())
}

fn is_same(one: &manifest::PromptLayer, other: &manifest::PromptLayer) -> bool {
    (one.position.value, &one.content_from.value) == (other.position.value, &other.content_from.value)
}

/// `None` where its text could not be read, which was reported.
fn made(manifest: &Manifest, layer: &At<manifest::PromptLayer>, attached: &Attachments<'_>) -> Option<PromptLayer> {
    let file = &layer.content_from.value.0;
    let text = attached.prompts.known.get(file)?;
    Some(PromptLayer {
        name: layer.name.as_str().to_owned(),
        owner: manifest.id.to_string(),
        position: layer.value.position.value,
        file: file.clone(),
        digest: text.digest,
        text: Redacted::new(text.text.expose().clone()),
    })
}
