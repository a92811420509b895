//! Queries 1, 3 and 6 of TPC-H, the benchmark of decision support: an aggregate, joins, and a filter.
//!
//! The idea it shows: a typed program where others write SQL. Money is held in cents, as whole numbers, in columns of decimals: nothing is rounded
//! before the answer is.
//!
//! ```sh
//! pip install tpchgen-cli
//! tpchgen-cli csv -s 1 -T customer,orders,lineitem -o tables
//! cargo run --release --example tpch -- parquet tables stored     # CSV to Parquet
//! cargo run --release --example tpch -- q3 stored answer.csv      # or q1, or q6, or answer.parquet
//! cargo run --release --example tpch -- csv stored tables2        # Parquet to CSV
//! ```
//!
//! The queries are those of the TPC-H specification with the parameters of its qualification, so that the answers at scale factor 1 are known.

#![allow(clippy::struct_field_names, reason = "the columns have the names that the specification gives them")]

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use gristmill::parse;
use gristmill::prelude::*;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, from, to] = arguments.as_slice() else { usage() };
    run(&Context::new()?, what, Path::new(from), Path::new(to))
}

/// Does what the first argument says.
pub fn run(ctx: &Context, what: &str, from: &Path, to: &Path) -> Result<(), Failure> {
    match what {
        "parquet" => {
            store::<LineItem>(ctx, from, to, "lineitem")?;
            store::<Order>(ctx, from, to, "orders")?;
            store::<Customer>(ctx, from, to, "customer")
        }
        "csv" => {
            restore::<LineItem>(ctx, from, to, "lineitem")?;
            restore::<Order>(ctx, from, to, "orders")?;
            restore::<Customer>(ctx, from, to, "customer")
        }
        "q1" => pricing_summary(ctx, from, to),
        "q3" => shipping_priority(ctx, from, to),
        "q6" => forecasting_revenue_change(ctx, from, to),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!(
        "usage: tpch parquet CSV_DIR DIR | tpch csv DIR CSV_DIR | tpch q1|q3|q6 DIR ANSWER.csv|ANSWER.parquet"
    );
    std::process::exit(2);
}

#[derive(Record, Clone)]
struct LineItem {
    l_orderkey: i64,
    l_partkey: i64,
    l_suppkey: i64,
    l_linenumber: i32,
    l_quantity: i64,
    #[record(decimal(15, 2))]
    l_extendedprice: i128,
    #[record(decimal(15, 2))]
    l_discount: i128,
    #[record(decimal(15, 2))]
    l_tax: i128,
    l_returnflag: Text,
    l_linestatus: Text,
    #[record(date)]
    l_shipdate: i32,
    #[record(date)]
    l_commitdate: i32,
    #[record(date)]
    l_receiptdate: i32,
    l_shipinstruct: Text,
    l_shipmode: Text,
    l_comment: Text,
}

#[derive(Record, Clone)]
struct Order {
    o_orderkey: i64,
    o_custkey: i64,
    o_orderstatus: Text,
    #[record(decimal(15, 2))]
    o_totalprice: i128,
    #[record(date)]
    o_orderdate: i32,
    o_orderpriority: Text,
    o_clerk: Text,
    o_shippriority: i32,
    o_comment: Text,
}

#[derive(Record, Clone)]
struct Customer {
    c_custkey: i64,
    c_name: Text,
    c_address: Text,
    c_nationkey: i32,
    c_phone: Text,
    #[record(decimal(15, 2))]
    c_acctbal: i128,
    c_mktsegment: Text,
    c_comment: Text,
}

fn store<T: Record>(ctx: &Context, from: &Path, to: &Path, table: &str) -> Result<(), Failure> {
    let rows = ctx.read_csv::<T>(&from.join(table).with_extension("csv"), CsvFormat::default())?;
    std::fs::create_dir_all(to)?;
    let written =
        rows.write_parquet(to.join(table), ParquetOptions::default().existing(Existing::Overwrite))?;
    println!("{table}: {} rows", written.rows);
    Ok(())
}

fn restore<T: Record>(ctx: &Context, from: &Path, to: &Path, table: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    let to = to.join(table).with_extension("csv");
    let written = ctx
        .read_parquet::<T>(&from.join(table))?
        .write_csv(to, CsvOptions::default().existing(Existing::Overwrite))?;
    println!("{table}: {} rows", written.rows);
    Ok(())
}

/// Writes an answer as one file, of CSV or Parquet as its name ends.
fn answer<T: Record>(rows: &Dataset<T>, to: &Path) -> Result<(), Failure> {
    if to.extension().is_some_and(|ending| ending == "parquet") {
        rows.write_parquet(to, ParquetOptions::default().existing(Existing::Overwrite))?;
    } else {
        rows.write_csv(to, CsvOptions::default().existing(Existing::Overwrite))?;
    }
    Ok(())
}

/// A day, which must be one.
fn day(text: &str) -> Result<i32, String> {
    parse::date(text).map_err(|error| format!("{text}: {error}"))
}

/// What query 1 reads, and no other column.
#[derive(Record, Clone)]
struct Priced {
    l_quantity: i64,
    #[record(decimal(15, 2))]
    l_extendedprice: i128,
    #[record(decimal(15, 2))]
    l_discount: i128,
    #[record(decimal(15, 2))]
    l_tax: i128,
    l_returnflag: Text,
    l_linestatus: Text,
    #[record(date)]
    l_shipdate: i32,
}

/// What query 1 adds up.
#[derive(Record, Clone)]
struct Sums {
    quantity: i64,
    base_price: i128,
    disc_price: i128,
    charge: i128,
    discount: i128,
    count: i64,
}

#[derive(Record, Clone)]
struct Summary {
    l_returnflag: Text,
    l_linestatus: Text,
    sum_qty: i64,
    #[record(decimal(38, 2))]
    sum_base_price: i128,
    #[record(decimal(38, 4))]
    sum_disc_price: i128,
    #[record(decimal(38, 6))]
    sum_charge: i128,
    #[record(decimal(38, 2))]
    avg_qty: i128,
    #[record(decimal(38, 2))]
    avg_price: i128,
    #[record(decimal(38, 2))]
    avg_disc: i128,
    count_order: i64,
}

/// Query 1: what was shipped until 90 days before the end of the data, summed up by its state.
fn pricing_summary(ctx: &Context, tables: &Path, to: &Path) -> Result<(), Failure> {
    let last = day("1998-12-01")? - 90;
    let items = ctx.read_parquet::<Priced>(&tables.join("lineitem"))?;
    let summary = items
        .filter(move |item| item.l_shipdate <= last)
        .map(|item| {
            let disc_price = item.l_extendedprice * (100 - item.l_discount);
            let sums = Sums {
                quantity: item.l_quantity,
                base_price: item.l_extendedprice,
                disc_price,
                charge: disc_price * (100 + item.l_tax),
                discount: item.l_discount,
                count: 1,
            };
            ((item.l_returnflag, item.l_linestatus), sums)
        })
        .reduce_by_key(|a, b| Sums {
            quantity: a.quantity + b.quantity,
            base_price: a.base_price + b.base_price,
            disc_price: a.disc_price + b.disc_price,
            charge: a.charge + b.charge,
            discount: a.discount + b.discount,
            count: a.count + b.count,
        })
        .map(|((l_returnflag, l_linestatus), sums)| Summary {
            l_returnflag,
            l_linestatus,
            sum_qty: sums.quantity,
            sum_base_price: sums.base_price,
            sum_disc_price: sums.disc_price,
            sum_charge: sums.charge,
            avg_qty: average(i128::from(sums.quantity) * 100, sums.count),
            avg_price: average(sums.base_price, sums.count),
            avg_disc: average(sums.discount, sums.count),
            count_order: sums.count,
        })
        .sort_by_key(|row| (row.l_returnflag.clone(), row.l_linestatus.clone()));
    answer(&summary, to)
}

/// The average of numbers that are not negative, rounded to the last digit that they have.
fn average(sum: i128, count: i64) -> i128 {
    let count = i128::from(count);
    (2 * sum + count) / (2 * count)
}

#[derive(Record, Clone)]
struct Buyer {
    c_custkey: i64,
}

#[derive(Record, Clone)]
struct Placed {
    o_orderkey: i64,
    o_custkey: i64,
    #[record(date)]
    o_orderdate: i32,
    o_shippriority: i32,
}

#[derive(Record, Clone)]
struct Shipped {
    l_orderkey: i64,
    #[record(decimal(15, 2))]
    l_extendedprice: i128,
    #[record(decimal(15, 2))]
    l_discount: i128,
}

#[derive(Record, Clone)]
struct Unshipped {
    l_orderkey: i64,
    #[record(decimal(38, 4))]
    revenue: i128,
    #[record(date)]
    o_orderdate: i32,
    o_shippriority: i32,
}

/// Query 3: of the orders of one kind of customer that were not shipped on a day, the ten of the highest value. The readers leave out what the
/// conditions on columns leave out. One order in ten is left, which every core can hold: the items are joined where they are read.
fn shipping_priority(ctx: &Context, tables: &Path, to: &Path) -> Result<(), Failure> {
    const TODAY: &str = "1995-03-15";
    let table = |name: &str| -> PathBuf { tables.join(name) };
    let only = |condition| ParquetReadOptions::default().filter(condition);
    let customers = ctx
        .read_parquet_with::<Buyer>(&table("customer"), only(col("c_mktsegment").eq("BUILDING")))?
        .map(|customer| (customer.c_custkey, ()));
    let orders = ctx
        .read_parquet_with::<Placed>(&table("orders"), only(col("o_orderdate").lt(TODAY)))?
        .map(|order| (order.o_custkey, (order.o_orderkey, order.o_orderdate, order.o_shippriority)))
        .semi_join(&customers)
        .map(|(_, (key, date, priority))| (key, (date, priority)));
    let unshipped = ctx
        .read_parquet_with::<Shipped>(&table("lineitem"), only(col("l_shipdate").gt(TODAY)))?
        .map(|item| (item.l_orderkey, item.l_extendedprice * (100 - item.l_discount)))
        .broadcast_join(&orders)
        .map(|(key, (revenue, (date, priority)))| ((key, date, priority), revenue))
        .reduce_by_key(|a, b| a + b)
        .map(|((l_orderkey, o_orderdate, o_shippriority), revenue)| Unshipped {
            l_orderkey,
            revenue,
            o_orderdate,
            o_shippriority,
        });
    answer(&unshipped.top_k(10, |row| (row.revenue, Reverse(row.o_orderdate))), to)
}

#[derive(Record, Clone)]
struct Discounted {
    #[record(decimal(15, 2))]
    l_extendedprice: i128,
    #[record(decimal(15, 2))]
    l_discount: i128,
}

#[derive(Record, Clone)]
struct Revenue {
    #[record(decimal(38, 4))]
    revenue: i128,
}

/// Query 6: what would have been earned besides in one year without some of the discounts. A condition on columns goes to the reader, which
/// leaves out what cannot fulfil it.
fn forecasting_revenue_change(ctx: &Context, tables: &Path, to: &Path) -> Result<(), Failure> {
    let wanted = col("l_shipdate").between("1994-01-01", "1994-12-31");
    let wanted = wanted.and(col("l_discount").between("0.05", "0.07")).and(col("l_quantity").lt(24));
    let options = ParquetReadOptions::default().filter(wanted);
    let revenue = ctx
        .read_parquet_with::<Discounted>(&tables.join("lineitem"), options)?
        .map(|item| ((), item.l_extendedprice * item.l_discount))
        .reduce_by_key(|a, b| a + b)
        .map(|((), revenue)| Revenue { revenue });
    answer(&revenue, to)
}
