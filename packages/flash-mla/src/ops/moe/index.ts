/** Mixtures of experts. */

export {
  type ExpertDType,
  type ExpertMlpOptions,
  type ExpertWeightDType,
  expertMlp,
} from './expert-mlp.ts';
export { type RoutedExperts, type RouteExpertsOptions, routeExperts } from './route-experts.ts';
