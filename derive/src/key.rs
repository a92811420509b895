//! The code of `#[derive(Key)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::record::bounded;
use crate::shape::{Column, Shape};

/// The implementation of `Key`.
pub fn implementation(shape: &Shape) -> TokenStream {
    let name = shape.name;
    let generics = bounded(shape.generics, &quote!(::gristmill::record::Key));
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let hashes = shape.columns.iter().map(hash);
    let identities = shape.columns.iter().map(identity);
    let whole = shape.skipped.is_empty(); // what is skipped is no part of the key, and may differ
    let equalities = shape.columns.iter().map(equality);
    quote! {
        #[automatically_derived]
        impl #parameters ::gristmill::record::Key for #name #arguments #bounds {
            const EQUAL_IS_IDENTICAL: bool = #whole #(&& #identities)*;

            #[inline]
            fn hash_into(&self, hash: u64) -> u64 {
                #(let hash = #hashes;)*
                hash
            }

            #[inline]
            fn key_eq(&self, other: &Self) -> bool {
                #(#equalities)&&*
            }
        }
    }
}

fn hash(column: &Column) -> TokenStream {
    let Column { member, ty, .. } = column;
    quote_spanned!(ty.span()=> <#ty as ::gristmill::record::Key>::hash_into(&self.#member, hash))
}

fn equality(column: &Column) -> TokenStream {
    let Column { member, ty, .. } = column;
    quote_spanned!(ty.span()=> <#ty as ::gristmill::record::Key>::key_eq(&self.#member, &other.#member))
}

fn identity(column: &Column) -> TokenStream {
    let ty = &column.ty;
    quote_spanned!(ty.span()=> <#ty as ::gristmill::record::Key>::EQUAL_IS_IDENTICAL)
}
