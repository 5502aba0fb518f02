// Draws a board of deploy/grafana by Grafana's own components, from what Prometheus answered to its panels' expressions.
// The panels themselves are not among Grafana's libraries: what they leave to the components and add by default is here.
import {
  applyFieldOverrides, createTheme, dateTime, FieldType, getFieldDisplayValues, getValueFormats, ThemeContext,
  toDataFrame,
} from '@grafana/data';
import {BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater} from '@grafana/ui';
import {flushSync} from 'react-dom';
import {createRoot} from 'react-dom/client';

// The grid of Grafana's dashboards.
const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
// What a panel of each kind has where the board says nothing.
const COLOR = {stat: {mode: 'thresholds'}, timeseries: {mode: 'palette-classic'}};
const LINE = {drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, pointSize: 5, axisPlacement: 'auto'};
const UNITS = new Set(getValueFormats().flatMap(({submenu}) => submenu.map(({value}) => value)));
const LEGEND = {showLegend: true, displayMode: 'list', placement: 'bottom', calcs: []};

const theme = createTheme({colors: {mode: 'light'}});
const unchanged = (text) => text;
const root = createRoot(document.getElementById('board'));
// Names the fonts, which canvases do not wait for.
flushSync(() => root.render(<ThemeContext.Provider value={theme}><GlobalStyles /></ThemeContext.Provider>));

// A quantile of nothing is not a number, and a line has a gap there.
const valueOf = (panel, text) => panel.type === 'stat' || Number.isFinite(Number(text)) ? Number(text) : null;

// "{{topic}}" in a legend stands for the series' label.
const legendOf = (format, labels) =>
  format === '__auto' ? undefined : format.replace(/{{\s*(.+?)\s*}}/g, (_, name) => labels[name] ?? '');

function framesOf(panel, answers, step) {
  const defaults = panel.fieldConfig.defaults;
  // Grafana would write the word behind each number.
  if (!UNITS.has(defaults.unit)) throw new Error(`${panel.title}: Grafana knows no unit ${defaults.unit}`);
  const configOf = (target, labels) => ({
    color: COLOR[panel.type],
    ...structuredClone(defaults),
    custom: {...LINE, ...defaults.custom},
    displayNameFromDS: legendOf(target.legendFormat, labels),
  });
  const frames = panel.targets.flatMap((target) => answers[target.refId].map(({metric, values}) => toDataFrame({
    refId: target.refId,
    fields: [
      {name: 'Time', type: FieldType.time, values: values.map(([at]) => at * 1000), config: {interval: step * 1000}},
      {
        name: 'Value', type: FieldType.number, labels: metric, config: configOf(target, metric),
        values: values.map(([, value]) => valueOf(panel, value)),
      },
    ],
  })));
  return applyFieldOverrides({
    data: frames, fieldConfig: {defaults: {}, overrides: []}, replaceVariables: unchanged, theme, timeZone: 'utc',
  });
}

function Stat({panel, frames, timeRange, width, height}) {
  const {colorMode, graphMode, reduceOptions} = panel.options;
  const values = () => getFieldDisplayValues({
    data: frames, fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: unchanged, sparkline: true, theme,
    timeZone: 'utc',
  });
  return <VizRepeater
    getValues={values} source={frames} renderCounter={0} width={width} height={height} orientation="auto" autoGrid
    renderValue={({value, width, height, count}) => <BigValue
      value={value.display} sparkline={value.sparkline && {...value.sparkline, timeRange}} count={count}
      width={width} height={height} colorMode={colorMode} graphMode={graphMode} justifyMode="auto" textMode="auto"
      theme={theme}
    />}
  />;
}

function Lines({panel, frames, timeRange, width, height}) {
  const empty = {height, display: 'flex', alignItems: 'center', justifyContent: 'center'};
  return frames.length === 0
    ? <div style={empty}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>
    : <TimeSeries
      frames={frames} timeRange={timeRange} timeZone="utc" width={width} height={height}
      legend={{...LEGEND, ...panel.options.legend}}
    />;
}

function Panel({panel, answers, range, width}) {
  const place = panel.gridPos;
  const column = (width - GAP * (COLUMNS - 1)) / COLUMNS;
  const box = {
    left: place.x * (column + GAP), top: place.y * (ROW + GAP),
    width: place.w * (column + GAP) - GAP, height: place.h * (ROW + GAP) - GAP,
  };
  const [from, to] = [dateTime(range.from * 1000), dateTime(range.to * 1000)];
  const Kind = {stat: Stat, timeseries: Lines}[panel.type];
  const frames = framesOf(panel, answers, range.step);
  return <div style={{position: 'absolute', ...box}}>
    <PanelChrome title={panel.title} description={panel.description} width={box.width} height={box.height}>
      {(width, height) => <Kind
        panel={panel} frames={frames} timeRange={{from, to, raw: {from, to}}} width={width} height={height}
      />}
    </PanelChrome>
  </div>;
}

// Draws the board into the page's body.
window.draw = async (board, answers, range) => {
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  const width = document.body.clientWidth;
  const rows = Math.max(...board.panels.map(({gridPos}) => gridPos.y + gridPos.h));
  const canvas = {position: 'relative', width, height: rows * (ROW + GAP) - GAP, background: theme.colors.background.canvas};
  root.render(<ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={canvas}>
      {board.panels.map((panel) => <Panel
        key={panel.id} panel={panel} answers={answers[panel.id]} range={range} width={width}
      />)}
    </div>
  </ThemeContext.Provider>);
};
