//! What `#[record(..)]` says of a field.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Error, Field, LitInt, LitStr, Meta, Result, Token, parenthesized};

/// The greatest number of digits of a decimal.
const MAX_PRECISION: u8 = 38;

/// What the attributes of a field say.
#[derive(Default)]
pub struct Attributes {
    /// The name of the column, where it is not that of the field.
    pub rename: Option<LitStr>,
    /// The Arrow type, where it does not follow from the Rust type.
    pub logical: Option<Logical>,
    /// Where the field is said to be no column.
    pub skip: Option<Span>,
}

/// An Arrow type that a plain number is stored as.
pub enum Logical {
    /// An instant, in the named unit of Arrow.
    Timestamp(&'static str),
    /// A date, in days.
    Date,
    /// A decimal number: digits, and how many of them stand after the point.
    Decimal(u8, u8),
}

impl Attributes {
    /// The attributes of a field.
    pub fn of(field: &Field) -> Result<Attributes> {
        let mut attributes = Attributes::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("record")) {
            attribute.parse_nested_meta(|meta| attributes.add(&meta))?;
            attributes.check(&attribute.meta)?;
        }
        Ok(attributes)
    }

    /// Checks that what is said goes together.
    fn check(&self, said: &Meta) -> Result<()> {
        if self.skip.is_some() && (self.rename.is_some() || self.logical.is_some()) {
            return Err(Error::new_spanned(
                said,
                "a field that is skipped is no column: it has neither name nor type",
            ));
        }
        Ok(())
    }

    fn add(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match name.as_str() {
            "rename" => set(&mut self.rename, meta, column_name(meta)?),
            "skip" => set(&mut self.skip, meta, meta.path.span()),
            "timestamp" => set(&mut self.logical, meta, timestamp(meta)?),
            "date" => set(&mut self.logical, meta, Logical::Date),
            "decimal" => set(&mut self.logical, meta, decimal(meta)?),
            _ => Err(meta.error(
                "unknown attribute: there are `rename = \"name\"`, `timestamp = \"ms\"`, `date`, \
                 `decimal(digits, digits_after_the_point)` and `skip`",
            )),
        }
    }
}

/// Sets what may be said once only.
fn set<T>(slot: &mut Option<T>, meta: &ParseNestedMeta, value: T) -> Result<()> {
    match slot.replace(value) {
        Some(_) => Err(meta.error("this contradicts or repeats what is said of the field already")),
        None => Ok(()),
    }
}

fn column_name(meta: &ParseNestedMeta) -> Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    if name.value().is_empty() {
        return Err(Error::new(name.span(), "the name of a column is empty"));
    }
    Ok(name)
}

fn timestamp(meta: &ParseNestedMeta) -> Result<Logical> {
    let unit: LitStr = meta.value()?.parse()?;
    let arrow = match unit.value().as_str() {
        "s" => "Second",
        "ms" => "Millisecond",
        "us" => "Microsecond",
        "ns" => "Nanosecond",
        _ => {
            return Err(Error::new(
                unit.span(),
                "the unit of a timestamp is \"s\", \"ms\", \"us\" or \"ns\"",
            ));
        }
    };
    Ok(Logical::Timestamp(arrow))
}

fn decimal(meta: &ParseNestedMeta) -> Result<Logical> {
    let content;
    parenthesized!(content in meta.input);
    let precision: LitInt = content.parse()?;
    content.parse::<Token![,]>()?;
    let scale: LitInt = content.parse()?;
    if !content.is_empty() {
        return Err(content.error("a decimal has two parameters: digits, and digits after the point"));
    }
    let (digits, after) = (precision.base10_parse()?, scale.base10_parse()?);
    if !(1..=MAX_PRECISION).contains(&digits) {
        return Err(Error::new(precision.span(), format!("a decimal has 1 to {MAX_PRECISION} digits")));
    }
    if after > digits {
        return Err(Error::new(
            scale.span(),
            format!("of {digits} digits, {after} cannot stand after the point"),
        ));
    }
    Ok(Logical::Decimal(digits, after))
}
