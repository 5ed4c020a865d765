//! What was measured, by detector, and the floors that it must not fall below.
//!
//! Counts are compared exactly: the rows, the detectors and so the figures are the same in every run. Where the number of rows
//! has changed, shares are compared, and half a point is let go.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::tally::Tally;

/// Points of percentage that are let go where the number of rows has changed.
const POINTS: f64 = 0.5;
/// What is let go of areas.
const AREA: f64 = 0.000_5;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Figure {
    /// Of what is to be found: more is better.
    Found(Tally),
    /// Of what is to be left alone: less is better.
    Alarms(Tally),
    /// Area under the curve of hits over false alarms.
    Area(f64),
}

/// By detector, or group of them, and what was measured.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Figures(BTreeMap<String, BTreeMap<String, Figure>>);

impl Figures {
    pub(crate) fn add(&mut self, group: &str, name: &str, figure: Figure) {
        self.0.entry(group.to_owned()).or_default().insert(name.to_owned(), figure);
    }

    /// Notes how many were found.
    pub(crate) fn found(&mut self, group: &str, name: &str, tally: Tally) {
        self.add(group, name, Figure::Found(tally));
    }

    /// Notes how many were found that should not have been.
    pub(crate) fn alarms(&mut self, group: &str, name: &str, tally: Tally) {
        self.add(group, name, Figure::Alarms(tally));
    }

    #[cfg(test)]
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn get(&self, group: &str, name: &str) -> Option<Figure> {
        self.0.get(group)?.get(name).copied()
    }

    /// What is worse here than in `floors`, or missing in one of the two.
    pub(crate) fn below(&self, floors: &Self) -> Vec<String> {
        let mut out = Vec::new();
        for (group, names) in &floors.0 {
            for (name, floor) in names {
                match self.get(group, name) {
                    None => out.push(format!("{group}: {name} is no longer measured")),
                    Some(now) if !now.holds(*floor) => {
                        out.push(format!("{group}: {name} is {}, its floor {}", now.shown(), floor.shown()));
                    }
                    Some(_) => {}
                }
            }
        }
        out
    }

    /// Figures that `floors` lack.
    pub(crate) fn new_to(&self, floors: &Self) -> Vec<String> {
        let names = self.0.iter().flat_map(|(group, names)| names.keys().map(move |name| (group, name)));
        let missing = names.filter(|(group, name)| floors.get(group, name).is_none());
        missing.map(|(group, name)| format!("{group}: {name} has no floor")).collect()
    }

    pub(crate) fn write(&self) -> Result<String> {
        let group = |names: &BTreeMap<String, Figure>| {
            names.iter().map(|(name, figure)| (name.clone(), figure.write())).collect::<Map<_, _>>()
        };
        let all: Map<_, _> = self.0.iter().map(|(name, names)| (name.clone(), group(names).into())).collect();
        // One figure a line.
        let mut out = String::from("{\n");
        for (i, (name, names)) in all.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ",\n" });
            out.push_str(&format!("  {}: {{\n", serde_json::to_string(name)?));
            let lines = names.as_object().into_iter().flatten();
            let lines = lines.map(|(name, figure)| Ok(format!("    {}: {figure}", serde_json::to_string(name)?)));
            out.push_str(&lines.collect::<Result<Vec<_>>>()?.join(",\n"));
            out.push_str("\n  }");
        }
        Ok(out + "\n}\n")
    }

    pub(crate) fn read(text: &str) -> Result<Self> {
        let all: Map<String, Value> = serde_json::from_str(text)?;
        let mut figures = Self::default();
        for (group, names) in &all {
            for (name, figure) in names.as_object().context("a group is no object")? {
                let figure = Figure::read(figure).with_context(|| format!("{group}: {name} is no figure"))?;
                figures.add(group, name, figure);
            }
        }
        Ok(figures)
    }
}

impl Figure {
    fn holds(self, floor: Self) -> bool {
        match (self, floor) {
            (Self::Found(now), Self::Found(floor)) if now.of == floor.of => now.hits >= floor.hits,
            (Self::Alarms(now), Self::Alarms(floor)) if now.of == floor.of => now.hits <= floor.hits,
            (Self::Found(now), Self::Found(floor)) => now.percent() >= floor.percent() - POINTS,
            (Self::Alarms(now), Self::Alarms(floor)) => now.percent() <= floor.percent() + POINTS,
            (Self::Area(now), Self::Area(floor)) => now >= floor - AREA,
            _ => false,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Found(tally) | Self::Alarms(tally) => format!("{} of {}", tally.hits, tally.of),
            Self::Area(area) => format!("{area:.4}"),
        }
    }

    fn write(self) -> Value {
        match self {
            Self::Found(tally) => json!({"found": tally.hits, "of": tally.of}),
            Self::Alarms(tally) => json!({"alarms": tally.hits, "of": tally.of}),
            Self::Area(area) => json!({"area": (area * 10_000.0).round() / 10_000.0}),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        let count = |name: &str| usize::try_from(value.get(name)?.as_u64()?).ok();
        let tally = |name: &str| Some(Tally { hits: count(name)?, of: count("of")? });
        let found = tally("found").map(Self::Found).or_else(|| tally("alarms").map(Self::Alarms));
        found.or_else(|| value.get("area")?.as_f64().map(Self::Area))
    }
}

#[cfg(test)]
mod tests {
    use super::super::guards::hostile;
    use super::*;

    fn of(hits: usize, of: usize) -> Tally {
        Tally { hits, of }
    }

    #[test]
    fn counts_are_compared_exactly_and_shares_within_half_a_point() {
        use Figure::{Alarms, Area, Found};
        for (now, floor, holds) in [
            (Found(of(90, 100)), Found(of(90, 100)), true),
            (Found(of(89, 100)), Found(of(90, 100)), false),
            (Alarms(of(1, 100)), Alarms(of(1, 100)), true),
            (Alarms(of(2, 100)), Alarms(of(1, 100)), false),
            (Found(of(179, 200)), Found(of(90, 100)), true),
            (Found(of(178, 200)), Found(of(90, 100)), false),
            (Alarms(of(3, 200)), Alarms(of(1, 100)), true),
            (Alarms(of(4, 200)), Alarms(of(1, 100)), false),
            (Area(0.9996), Area(1.0), true),
            (Area(0.9994), Area(1.0), false),
            (Area(1.0), Found(of(1, 1)), false),
        ] {
            assert_eq!(now.holds(floor), holds, "{now:?} {floor:?}");
        }
    }

    #[test]
    fn what_is_no_longer_measured_is_told() {
        let (mut now, mut floors) = (Figures::default(), Figures::default());
        now.found("email", "whole", of(3, 4));
        floors.found("iban", "whole", of(3, 4));
        assert_eq!(now.below(&floors), ["iban: whole is no longer measured"]);
        assert_eq!(now.new_to(&floors), ["email: whole has no floor"]);
        assert_eq!(Figures::read(&now.write().unwrap()).unwrap(), now);
        assert!(Figures::read(r#"{"email": {"whole": {"found": 1}}}"#).is_err());
    }

    #[test]
    fn the_recorded_floors_name_every_detector() {
        let floors = Figures::read(include_str!("../../floors.json")).unwrap();
        let groups: Vec<&str> = floors.groups().collect();
        let data = postern_config::BUILTIN_DETECTORS.iter().map(|(id, _)| *id);
        let web = postern_config::WebAttack::ALL.map(postern_config::WebAttack::as_str);
        for detector in data.chain(hostile().map(|(name, _)| name)).chain(web) {
            assert!(groups.contains(&detector), "{detector} has no floor: `make detection` writes them");
        }
        assert_eq!(floors.write().unwrap(), include_str!("../../floors.json"), "written by hand");
    }
}
