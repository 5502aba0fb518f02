// What a board may be made of, by the types that Grafana publishes, as JSON has it.
// What panels get by default may be left out; what nobody reads may not be there.
import type {Dashboard, DataQuery, Panel} from '@grafana/schema';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

// An enum's values stand in JSON as the texts that they are.
type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[]
  : T extends object ? {[K in keyof T]: Json<T[K]>} : T;
// Options are merged with their panel's defaults.
type Part<T> = T extends unknown[] ? T : T extends object ? {[K in keyof T]?: Part<T[K]>} : T;
// Without `[name: string]: unknown`, by which any name would do.
type Named<T> = {[K in keyof T as string extends K ? never : K]: T[K]};

type Options = {stat: stat.Options; timeseries: timeseries.Options};
type Custom = {stat: Record<string, never>; timeseries: timeseries.FieldConfig};
type Defaults = Named<NonNullable<Panel['fieldConfig']>['defaults']>;
type Question = DataQuery & {expr: string; legendFormat?: string};
type Replaced = 'type' | 'options' | 'fieldConfig' | 'targets';

export type Board = Json<Omit<Dashboard, 'panels'>>;
export type PanelOf<K extends keyof Options> = Json<Omit<Named<Panel>, Replaced> & {
  type: K;
  options: Part<Options[K]>;
  targets: Question[];
  fieldConfig: {defaults: Omit<Defaults, 'custom'> & {custom?: Part<Custom[K]>}; overrides: []};
}>;
