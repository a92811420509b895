//! The code of `#[derive(Record)]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Ident, parse_quote};

use crate::attributes::Logical;
use crate::shape::{Column, Shape};

/// The implementation of `Record`.
pub fn implementation(shape: &Shape) -> TokenStream {
    let name = shape.name;
    let generics = bounded(shape.generics, &quote!(::gristmill::record::Record));
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let methods = [data_type(shape), to_array(shape), from_column(shape), memory(shape)];
    quote! {
        #[automatically_derived]
        impl #parameters ::gristmill::record::Record for #name #arguments #bounds {
            #(#methods)*
        }
    }
}

/// The parameters, where every type has a bound.
pub fn bounded(generics: &Generics, bound: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#bound));
    }
    generics
}

fn data_type(shape: &Shape) -> TokenStream {
    let fields = shape.columns.iter().map(field);
    quote! {
        fn data_type() -> ::gristmill::__private::DataType {
            ::gristmill::__private::struct_type(::std::vec![#(#fields),*])
        }
    }
}

fn field(column: &Column) -> TokenStream {
    let Column { name, ty, .. } = column;
    let span = ty.span();
    match column.logical.as_ref().map(logical_type) {
        None => quote_spanned!(span=> ::gristmill::__private::field::<#ty>(#name)),
        Some(logical) => quote_spanned!(span=> ::gristmill::__private::logical_field::<#ty>(#name, #logical)),
    }
}

fn logical_type(logical: &Logical) -> TokenStream {
    match logical {
        Logical::Timestamp(unit) => {
            let unit = Ident::new(unit, Span::call_site());
            quote!(::gristmill::__private::timestamp(::gristmill::__private::TimeUnit::#unit))
        }
        Logical::Date => quote!(::gristmill::__private::DataType::Date32),
        Logical::Decimal(precision, scale) => {
            let scale = proc_macro2::Literal::u8_unsuffixed(*scale);
            quote!(::gristmill::__private::DataType::Decimal128(#precision, #scale))
        }
    }
}

fn to_array(shape: &Shape) -> TokenStream {
    let checks = shape.columns.iter().filter_map(type_check);
    let columns = shape.columns.iter().map(column_to_array);
    quote! {
        #[inline]
        fn to_array<'rows>(
            rows: impl ::gristmill::record::Rows<'rows, Self>,
            nulls: ::std::option::Option<::gristmill::__private::NullBuffer>,
            len: usize,
        ) -> ::gristmill::Result<::gristmill::__private::ArrayRef> {
            #(#checks)*
            let columns = ::std::vec![#(#columns),*];
            ::gristmill::__private::struct_array(<Self as ::gristmill::record::Record>::data_type(), columns, nulls, len)
        }
    }
}

/// A line that compiles if the field can be stored as the attribute says.
fn type_check(column: &Column) -> Option<TokenStream> {
    let check = match column.logical.as_ref()? {
        Logical::Timestamp(_) => format_ident!("is_timestamp"),
        Logical::Date => format_ident!("is_date"),
        Logical::Decimal(..) => format_ident!("is_decimal"),
    };
    let ty = column.ty;
    Some(quote_spanned!(ty.span()=> ::gristmill::__private::#check::<#ty>();))
}

fn column_to_array(column: &Column) -> TokenStream {
    let Column { member, name, ty, .. } = column;
    let array = quote_spanned! {ty.span()=>
        <#ty as ::gristmill::record::Record>::to_array(
            rows.clone().map(|row| row.map(|row| &row.#member)), ::std::option::Option::None, len
        )?
    };
    match column.logical.as_ref().map(logical_type) {
        None => array,
        Some(logical) => quote!(::gristmill::__private::to_logical(#name, &#array, #logical)?),
    }
}

fn from_column(shape: &Shape) -> TokenStream {
    let variables: Vec<_> = (0..shape.columns.len()).map(|index| format_ident!("column_{index}")).collect();
    let reads = shape.columns.iter().map(column_from_array);
    let members = shape.columns.iter().map(|column| &column.member);
    let skipped = &shape.skipped;
    // Pairs of pairs: their number is known beforehand, so that no row looks whether there is room for it.
    let no_column = quote!(::std::iter::repeat_n((), column.len()));
    let zipped = variables.iter().fold(no_column, |zipped, variable| quote!(#zipped.zip(#variable)));
    let pattern = variables.iter().fold(quote!(()), |pattern, variable| quote!((#pattern, #variable)));
    quote! {
        fn from_column(column: &::gristmill::record::Column) -> ::gristmill::Result<::std::vec::Vec<Self>> {
            #(let #variables = #reads;)*
            let rows = #zipped.map(|#pattern| Self {
                #(#members: #variables,)*
                #(#skipped: ::std::default::Default::default(),)*
            });
            ::std::result::Result::Ok(rows.collect())
        }
    }
}

fn column_from_array(column: &Column) -> TokenStream {
    let Column { name, ty, .. } = column;
    let child = quote!(column.child(#name)?);
    let child = match column.logical.as_ref().map(logical_type) {
        None => child,
        Some(logical) => quote!(::gristmill::__private::to_physical(&#child, &#logical)?),
    };
    quote_spanned!(ty.span()=> <#ty as ::gristmill::record::Record>::from_column(&#child)?)
}

fn memory(shape: &Shape) -> TokenStream {
    let members: Vec<_> = shape.columns.iter().map(|column| &column.member).collect();
    quote! {
        #[inline]
        fn each_text(&mut self, visit: &mut impl FnMut(&mut ::gristmill::Text)) {
            #(::gristmill::record::Record::each_text(&mut self.#members, visit);)*
        }

        #[inline]
        fn heap_bytes(&self) -> usize {
            0 #(+ ::gristmill::record::Record::heap_bytes(&self.#members))*
        }
    }
}
