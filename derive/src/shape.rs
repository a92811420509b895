//! The annotated struct as a table: its columns, and the fields that are none.

use std::collections::HashSet;

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataStruct, DeriveInput, Error, Field, Generics, Ident, Index, Member, Result, Type,
};

use crate::attributes::{Attributes, Logical};

/// A struct that can be a record.
pub struct Shape<'a> {
    /// Its name.
    pub name: &'a Ident,
    /// Its parameters.
    pub generics: &'a Generics,
    /// The fields that are columns, in order.
    pub columns: Vec<Column<'a>>,
    /// The fields that are not.
    pub skipped: Vec<Member>,
}

/// A field that is a column.
pub struct Column<'a> {
    /// How the field is written.
    pub member: Member,
    /// Its type.
    pub ty: &'a Type,
    /// The name of the column.
    pub name: String,
    /// The Arrow type, where it does not follow from `ty`.
    pub logical: Option<Logical>,
    /// Where the name is given.
    span: Span,
}

impl<'a> Shape<'a> {
    /// The table that an item is, or all that is wrong with it.
    pub fn of(item: &'a DeriveInput) -> Result<Shape<'a>> {
        no_attribute(&item.attrs)?;
        owns_its_data(&item.generics)?;
        let mut shape =
            Shape { name: &item.ident, generics: &item.generics, columns: Vec::new(), skipped: Vec::new() };
        let fields = structure(item)?.fields.iter().enumerate();
        fields.map(|(index, field)| shape.add(index, field)).fold(Ok(()), both)?;
        if shape.columns.is_empty() {
            return Err(Error::new_spanned(&item.ident, "a record has at least one column"));
        }
        distinct(&shape.columns)?;
        Ok(shape)
    }

    fn add(&mut self, index: usize, field: &'a Field) -> Result<()> {
        let attributes = Attributes::of(field)?;
        let member = member(index, field);
        if attributes.skip.is_some() {
            self.skipped.push(member);
            return Ok(());
        }
        let (name, span) = match attributes.rename {
            Some(name) => (name.value(), name.span()),
            None => (default_name(&member), field.span()),
        };
        self.columns.push(Column { member, ty: &field.ty, name, logical: attributes.logical, span });
        Ok(())
    }
}

/// Two results as one, with the errors of both.
fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match (first, second) {
        (Err(mut first), Err(second)) => {
            first.combine(second);
            Err(first)
        }
        (first, second) => first.and(second),
    }
}

fn no_attribute(attributes: &[Attribute]) -> Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("record")) {
        Some(attribute) => {
            Err(Error::new_spanned(attribute, "`#[record(..)]` belongs to a field, not to the struct"))
        }
        None => Ok(()),
    }
}

fn owns_its_data(generics: &Generics) -> Result<()> {
    match generics.lifetimes().next() {
        Some(lifetime) => Err(Error::new_spanned(
            lifetime,
            "a record borrows nothing: it outlives the input it was read from; use `Text` for a slice of a line",
        )),
        None => Ok(()),
    }
}

fn structure(item: &DeriveInput) -> Result<&DataStruct> {
    let wrong = |token: &dyn ToTokens, kind| {
        let message = format!("{kind} has no Arrow column: only a struct can be a record or key by derive");
        Err(Error::new_spanned(item_head(item, token), message))
    };
    match &item.data {
        Data::Struct(structure) => Ok(structure),
        Data::Enum(data) => wrong(&data.enum_token, "an enum"),
        Data::Union(data) => wrong(&data.union_token, "a union"),
    }
}

/// The first words of an item, such as `enum Level`, for an error to point at.
fn item_head(item: &DeriveInput, token: &dyn ToTokens) -> proc_macro2::TokenStream {
    let mut head = token.to_token_stream();
    item.ident.to_tokens(&mut head);
    head
}

fn member(index: usize, field: &Field) -> Member {
    match &field.ident {
        Some(name) => Member::Named(name.clone()),
        None => Member::Unnamed(Index { index: index as u32, span: field.span() }),
    }
}

/// The name of the field; `_1` for the first of a tuple struct.
fn default_name(member: &Member) -> String {
    match member {
        Member::Named(name) => name.to_string().trim_start_matches("r#").to_owned(),
        Member::Unnamed(index) => format!("_{}", index.index + 1),
    }
}

fn distinct(columns: &[Column]) -> Result<()> {
    let mut seen = HashSet::new();
    match columns.iter().find(|column| !seen.insert(&column.name)) {
        Some(column) => Err(Error::new(column.span, format!("two columns are named `{}`", column.name))),
        None => Ok(()),
    }
}
